"""Reads what a model's name says about it, without any grade."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

_TIERS: Mapping[str, float] = {
    "nano": -2.0, "micro": -2.0, "tiny": -2.0, "mini": -1.0, "lite": -1.0, "small": -1.0, "haiku": -1.0, "air": -0.5,
    "flash": -0.5, "fast": -0.5, "medium": 0.0, "sonnet": 0.0, "plus": 0.5, "pro": 0.5, "large": 0.5, "expert": 0.5,
    "speciale": 0.5, "max": 1.0, "ultra": 1.0, "opus": 1.0, "heavy": 1.0,
}  # fmt: skip
_REASONING = re.compile(r"think|reason|(?<![a-z0-9])(r1|o1|o3|o4|qwq|qvq|magistral|z1)(?![a-z0-9])")
_CODE = re.compile(r"code|codex|devstral|codestral|composer|swe")
_SIZE = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?e?(\d+(?:\.\d+)?)([bt])(?![a-z0-9])")
_ACTIVE = re.compile(r"(?<![a-z0-9.])a(\d+(?:\.\d+)?)b(?![a-z0-9])")
_YEAR_MONTH = re.compile(
    r"(?<!\d)(20[2-3]\d)-?(0[1-9]|1[0-2])(?:-?[0-3]\d)?(?!\d)|(?<!\d)(2[3-9])(0[1-9]|1[0-2])(?![\d.])"
)
_MONTH_YEAR = re.compile(r"(?<!\d)(0[1-9]|1[0-2])-(20[2-3]\d)(?!\d)")
_MONTH_DAY = re.compile(r"(?<![\d.])(0[1-9]|1[0-2])-?([0-3]\d)(?![\d.])")
_VERSION = re.compile(r"(?<![\d.])(\d{1,2}(?:\.\d{1,2})?)(?![\d.])")
_ANY_NUMBER = re.compile(r"(\d+(?:\.\d+)?)")
_VARIANT = re.compile(
    r"-(it|instruct|chat|base|preview|prev|exp|experimental|beta|latest|fp8|gguf|q4|k|m|quality|default|non|diff|"
    r"thinking|think|reasoning|reasoner|fast|expert|heavy|free|hf|v1|api|alibaba|no|multi|agent|001|002|\d+k|\d+e)"
    r"(?=-|$)"
)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is stated about a model besides any score. None: unknown.

    Args:
        model: Name, `vendor/name`.
        vendor: Part before the slash; "other" if there is none.
        line: Vendor and name without version, size, date and variant, for example "anthropic/claude-opus".
        root: Vendor and name without date and variant. All spellings and variants of one model share it.
        version: Number of the generation in the name, for example 4.5.
        released: Year with fraction; the date in the name, or when a table first mentions the model.
        size_b: Parameters in thousand millions.
        active_b: Parameters in use per token, in thousand millions.
        input_usd_per_mtok, output_usd_per_mtok: List prices.
    """

    model: str
    vendor: str
    line: str
    root: str
    version: float | None = None
    released: float | None = None
    size_b: float | None = None
    active_b: float | None = None
    input_usd_per_mtok: float | None = None
    output_usd_per_mtok: float | None = None

    @property
    def tier(self) -> float:
        """Place in the vendor's line-up by the words of the name: -2 for nano, 1 for max; words add up."""
        return sum(_TIERS.get(word, 0.0) for word in re.split(r"[-./:_ ]", self.model.lower()))

    @property
    def reasons(self) -> bool:
        """Whether the name says that the model reasons before it answers."""
        return _REASONING.search(self.model.lower()) is not None

    @property
    def codes(self) -> bool:
        """Whether the name says that the model is for code."""
        return _CODE.search(self.model.lower()) is not None


def read_name(model: str, *, first_seen: float | None = None, prices: tuple[float, float] | None = None) -> ModelFacts:
    """Return what the name of a model says, with a date and prices if they are known from elsewhere.

    Args:
        model: Name, `vendor/name`.
        first_seen: Year with fraction when a table first mentions the model; it was released by then.
        prices: Input and output price, USD per million tokens.
    """
    vendor, _, name = model.lower().rpartition("/")
    name = re.sub(r"(?<=\d)p(?=\d)", ".", name).replace("_", "-")
    name = re.sub(r":\w+$|\.gguf$", "", name)
    sizes = _SIZE.findall(_ACTIVE.sub("", name))
    active = _ACTIVE.search(name)
    undated = _MONTH_DAY.sub("", _MONTH_YEAR.sub("", _YEAR_MONTH.sub("", name)))
    root = _tidy(_VARIANT.sub("", undated))
    bare = _tidy(_SIZE.sub("", _ACTIVE.sub("", root)))
    version = _VERSION.search(bare) or _ANY_NUMBER.search(bare)
    line = _tidy(bare.replace(version.group(1), "", 1)) if version else bare
    dates = [year for year in (_date_in(name), first_seen) if year is not None]
    vendor = vendor or "other"
    return ModelFacts(
        model=model,
        vendor=vendor,
        line=f"{vendor}/{line}",
        root=f"{vendor}/{root}",
        version=float(version.group(1)) if version else None,
        released=min(dates, default=None),
        size_b=_thousand_millions(*sizes[-1]) if sizes else None,
        active_b=float(active.group(1)) if active else None,
        input_usd_per_mtok=prices[0] if prices else None,
        output_usd_per_mtok=prices[1] if prices else None,
    )


def as_year(day: date) -> float:
    """Return a day as a year with fraction."""
    return day.year + (day.timetuple().tm_yday - 0.5) / 366


def without_dates(name: str) -> str:
    """Return a name without the dates in it that state a year."""
    return _tidy(_MONTH_YEAR.sub("", _YEAR_MONTH.sub("", name)))


def _thousand_millions(experts: str, number: str, unit: str) -> float:
    return float(experts or 1) * float(number) * (1000 if unit == "t" else 1)


def _tidy(name: str) -> str:
    return re.sub(r"-{2,}", "-", name).strip("-.")


def _date_in(name: str) -> float | None:
    if match := _MONTH_YEAR.search(name):
        return int(match.group(2)) + (int(match.group(1)) - 0.5) / 12
    if match := _YEAR_MONTH.search(name):
        year = int(match.group(1) or 2000 + int(match.group(3)))
        return year + (int(match.group(2) or match.group(4)) - 0.5) / 12
    return None
