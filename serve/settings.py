"""All settings, in one frozen object.

A value comes from the environment (`LLMDEAL_…`), else from `llmdeal.toml`, else it is the default.
"""

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, Self, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    create_model,
    model_validator,
)

from router.lane import EFFORTS, Effort
from router.policies.kind import PolicyNumber
from router.policies.registry import DEFAULT_POLICIES
from serve.dialects.quirks_row import QuirksRow
from serve.errors import ConfigurationError, failed_check

ENVIRONMENT_PREFIX = "LLMDEAL_"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
DEFAULT_CONFIG_FILE = Path("llmdeal.toml")

PUBLISHED_PRICES_URL = (
    "https://raw.githubusercontent.com/pydantic/genai-prices/refs/heads/main/prices/new_data/v2/data.json"
)
"""Where genai-prices publishes its table (genai-prices 0.2.3, update_prices.py)."""
Price = Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")]
ContentLogging = Literal["none", "features", "full"]
"""How much of a request's content is logged: nothing, numbers only, or the texts too."""
CONTENT_LEVELS: Final[tuple[ContentLogging, ...]] = get_args(ContentLogging)
"""The levels of `ContentLogging`, from the least to the most."""
KeyScope = Literal["inference", "read", "admin", "owner"]
"""What a virtual key may be used for."""


def _main_dialect(name: str) -> str:
    from serve.dialects.registry import check_main_dialect  # imported here: only a server in the settings needs it

    return check_main_dialect(name)


def _further_dialect(name: str) -> str:
    from serve.dialects.registry import check_further_dialect

    return check_further_dialect(name)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VirtualKeySettings(_Section):
    """One `[[virtual_keys]]` entry."""

    name: str = Field(min_length=1, max_length=64, description="Its name in logs and reports.")
    key: SecretStr = Field(description="The key itself; make one with 'llmdeal new-key'.")
    monthly_budget_usd: Price | None = Field(
        default=None, description="The most that it may spend in a calendar month, USD; absent: no limit."
    )
    lanes: tuple[str, ...] = Field(
        (), description="Patterns of lanes or vendor models that it may use: anthropic/*; empty: all."
    )
    tags: tuple[str, ...] = Field((), description="Tags that each of its requests gets.")
    requests_per_minute: int | None = Field(
        default=None, ge=1, description="The most requests in a minute; absent: no limit."
    )
    tokens_per_minute: int | None = Field(
        default=None, ge=1, description="The most tokens in a minute, prompt and answer together; absent: no limit."
    )
    scopes: tuple[KeyScope, ...] = Field(
        ("inference",), description="What it may do: inference; read, admin and owner in the admin API."
    )


class ServerModelSettings(_Section):
    """One model that you list and price yourself."""

    upstream_model: str = Field(min_length=1, description="The id that the server knows.")
    kind: Literal["chat", "embedding"] = Field(
        "chat", description="embedding: it makes vectors, for /v1/embeddings only."
    )
    vendor_model: str | None = Field(None, description="vendor/model, when several lanes host the same one.")
    input_usd_per_mtok: Price = Field("0", description="USD per million input tokens.")
    output_usd_per_mtok: Price = Field("0", description="USD per million output tokens.")
    context_tokens: int | None = Field(None, ge=1, description="Longest prompt plus answer, tokens.")
    max_output_tokens: int | None = Field(None, ge=1, description="Longest answer, tokens.")
    capabilities: tuple[str, ...] = Field(
        (), description="tools, images, json_object, json_schema, reasoning, …; what is not listed is not used."
    )
    efforts: tuple[Effort, ...] = Field(
        default=(), description="Efforts of reasoning that a request may ask for by name: none, low, high, …."
    )
    trained_name: str | None = Field(
        None, description="Its name in the bundle, if the bundle was trained on its answers."
    )
    ability: float | None = Field(
        None, description="Prior ability on the bundle's logit scale, without a trained_name."
    )
    ability_std: float = Field(1.0, gt=0, description="Standard deviation of that prior.")
    quirks: QuirksRow | None = Field(
        None, description="What it accepts otherwise than its dialect; see data/dialects.yaml."
    )


class ProviderKeySettings(_Section):
    """One `[[providers.<id>.keys]]` entry: one of several keys of yours at a provider."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_.-]*$", description="Its name; its lanes are called <provider>@<name>/<model>."
    )
    key: SecretStr | None = Field(None, description="The provider key; better given in the environment.")
    key_env: str | None = Field(None, description="Environment variable that holds it.")
    monthly_budget_usd: Price | None = Field(
        default=None, description="The most that may be spent with it in a calendar month, USD; absent: no limit."
    )


class ProviderSettings(_Section):
    """One `[providers.<id>]` entry: a key of yours at a provider of data/providers."""

    key: SecretStr | None = Field(None, description="The provider key; better given in the environment.")
    key_env: str | None = Field(
        None, description="Environment variable that holds the key, instead of the provider's usual one."
    )
    keys: tuple[ProviderKeySettings, ...] = Field(
        (),
        description="Several keys of one organisation. They share its rate limits; each has its own budget.",
    )
    account: str | None = Field(
        None, description="The provider's account that the limits belong to, if you have several keys."
    )
    base_url: str | None = Field(
        None, description="Base URL instead of the provider's own; needed for a URL of your own (Azure)."
    )
    region: Literal["eu", "us"] | None = Field(None, description="Use the provider's host of this region.")
    trains_on_data: bool | None = Field(
        None, description="Whether your agreement allows training on your data; absent: as in the catalogue."
    )
    retains_data: bool | None = Field(
        None, description="Whether your agreement allows keeping your data; absent: as in the catalogue."
    )
    credentials: Literal["key", "aws", "google"] | None = Field(
        None,
        description="How to sign in: aws signs each request, google fetches tokens, key sends a key.",
    )
    project: str | None = Field(None, description="Project in Google Cloud; absent: the service account's.")
    location: str | None = Field(
        None, description="Location in the cloud's own words: eu-central-1, europe-west4, global."
    )
    profile: str | None = Field(None, description="Profile of the shared AWS configuration, for credentials = aws.")
    monthly_budget_usd: Price | None = Field(
        default=None, description="The most that may be spent there in a calendar month, USD; absent: no limit."
    )
    requests_per_minute: float | None = Field(
        default=None, ge=1, description="The account's limit, if you know it; absent: as the provider's headers say."
    )
    tokens_per_minute: float | None = Field(
        default=None, ge=1, description="The same limit for tokens, prompt and answer together."
    )
    models: tuple[ServerModelSettings, ...] = Field(
        (), description="Models besides those of the catalogue: Azure deployments, Ollama models, new ones."
    )
    unlisted_input_usd_per_mtok: Price | None = Field(
        default=None,
        description="Price of models that no list has, USD per million input tokens; absent: they cannot be asked.",
    )
    unlisted_output_usd_per_mtok: Price | None = Field(default=None, description="The same for output tokens.")
    is_enabled: bool = Field(True, description="False: leave this provider out.")
    is_hosted: bool = Field(
        default=False,
        description="True: other accounts may use it too, with your key, at its price times hosted_markup.",
    )
    is_reserve: bool = Field(
        default=False,
        description="True: it is asked only if no other lane can answer (spent budgets, failures).",
    )

    @model_validator(mode="after")
    def _check_unlisted(self) -> Self:
        if (self.unlisted_input_usd_per_mtok is None) != (self.unlisted_output_usd_per_mtok is None):
            raise ValueError("unlisted_input_usd_per_mtok and unlisted_output_usd_per_mtok need each other. Set both.")
        return self


class ServerSettings(_Section):
    """One `[[servers]]` entry: a server of your own."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Its name, the first part of its lanes' ids.")
    base_url: str = Field(pattern=r"^https?://", description="Base URL, including /v1.")
    dialect: Annotated[str, AfterValidator(_main_dialect)] = Field(
        "openai", description="Dialect that it speaks below the base URL; docs/settings.md lists the names."
    )
    also_speaks: tuple[Annotated[str, AfterValidator(_further_dialect)], ...] = Field(
        (), description="Further dialects below the same base URL, for callers that use them: anthropic, responses, …"
    )
    key: SecretStr | None = Field(
        None, description="Key of the server; sent as a bearer token, x-api-key or x-goog-api-key."
    )
    region: Literal["eu", "us"] | None = Field(
        None, description="Region where it runs; absent: it meets no region constraint."
    )
    monthly_budget_usd: Price | None = Field(
        default=None, description="The most that may be spent there in a calendar month, USD; absent: no limit."
    )
    requests_per_minute: float | None = Field(
        default=None, ge=1, description="The server's limit; absent: as its headers say."
    )
    tokens_per_minute: float | None = Field(
        default=None, ge=1, description="The same limit for tokens, prompt and answer together."
    )
    models: tuple[ServerModelSettings, ...] = Field(min_length=1, description="Models that it serves.")
    quirks: QuirksRow | None = Field(
        default=None, description="What it accepts otherwise than its dialect, for all its models."
    )
    is_hosted: bool = Field(
        default=False, description="True: other accounts may use it too, at its price times hosted_markup."
    )
    is_reserve: bool = Field(
        default=False,
        description="True: it is asked only if no other lane can answer (spent budgets, failures).",
    )


class AlertSettings(_Section):
    """The `[alerts]` section: webhooks on the state of budgets and on the watch's alarms."""

    webhook_url: str = Field(
        pattern=r"^https?://", description="URL that webhooks are sent to; redirects are not followed."
    )
    secret: SecretStr | None = Field(
        None, description="Secret that signs webhooks: whsec_ and base64 of 24 to 64 bytes."
    )
    secret_env: str | None = Field(None, description="Environment variable that holds the secret.")
    thresholds: tuple[Annotated[int, Field(ge=1, le=100)], ...] = Field(
        (50, 80, 100), min_length=1, description="Percentages of a monthly budget at which an alert is sent."
    )


class ExplorationSettings(_Section):
    """The `[exploration]` section: the share of requests that try another lane than the best one, and its price."""

    share: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="Share of the requests with a lane worth a try that try one; 0: none.",
    )
    monthly_ceiling_usd: Price | None = Field(
        default=None,
        description="The most expected loss in a calendar month, USD; needed if share is not 0.",
    )
    quality_bar: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="P(good answer) below which no lane is tried, if the request has no bar of its own.",
    )
    most_lanes: int = Field(
        default=4, ge=1, le=64, description="The most lanes that one request may try, the most promising first."
    )

    @model_validator(mode="after")
    def _has_a_ceiling(self) -> "ExplorationSettings":
        if self.share and not float(self.monthly_ceiling_usd or 0):
            raise ValueError("exploration needs a price: set monthly_ceiling_usd above 0, or share = 0")
        return self


class WatchSettings(_Section):
    """The `[watch]` section: what the gateway learns online, and when alarms ring."""

    learns_lanes: bool = Field(
        default=True, description="True: feedback changes the expected quality of the lanes that answered."
    )
    half_life_hours: float = Field(
        default=72.0, gt=0, description="Hours without feedback after which half of what was learned is forgotten."
    )
    max_shift: float = Field(
        default=2.0, gt=0, le=10, description="The most by which feedback may move a lane's log odds of a good answer."
    )
    tolerance: float = Field(
        default=0.05,
        ge=0,
        le=0.5,
        description="Difference of a lane's mean reward from the prediction, below which no alarm rings.",
    )
    answers_between_false_alarms: float = Field(
        default=10_000,
        ge=100,
        description="Judged answers of a lane between two false alarms, at least, on average.",
    )
    stability_index: float = Field(
        default=0.2,
        gt=0,
        description="Population stability index of this week's prompts against earlier ones that rings the alarm.",
    )
    price_change_percent: float = Field(
        default=20.0, gt=0, description="Change of a lane's price that rings the alarm, percent."
    )


class PriceSettings(_Section):
    """The `[prices]` section: where newer prices come from while the gateway runs."""

    sources: tuple[Literal["published", "providers"], ...] = Field(
        default=(),
        description="Sources that may be asked over the network: published, providers; empty: none.",
    )
    file: str = Field(
        default="", description="Your own copy of a published table, JSON; read whenever it changes; empty: none."
    )
    url: str = Field(
        default=PUBLISHED_PRICES_URL,
        pattern=r"^(https://|http://(127\.0\.0\.1|localhost|\[::1\])(:|/))",
        description="Address of the published table.",
    )
    every_hours: float = Field(default=6.0, ge=0.01, le=720, description="Hours between two questions to a source.")
    folder: str = Field(default="", description="Folder of the tables; empty: prices in your data folder.")


def _policy_of_smart_route(name: str) -> str:
    if name not in DEFAULT_POLICIES:
        raise ValueError(f"{name!r} is no policy of smart-route. Use one of {', '.join(DEFAULT_POLICIES)}.")
    return name


def _efforts_to_set(text: str) -> str:
    for word in efforts_named(text):
        if word not in EFFORTS:
            raise ValueError(f"{word!r} is no effort of reasoning. Use all, off, or some of {', '.join(EFFORTS)}.")
    return text


def efforts_named(text: str) -> frozenset[str]:
    """Return the efforts of the setting `route_efforts`: all of them, none, or those that it lists with commas."""
    if text in ("all", "off"):
        return frozenset(EFFORTS if text == "all" else ())
    return frozenset(word.strip() for word in text.split(","))


def _number_of(policy: str) -> Any:
    """Return the field of the setting that holds a policy's number."""
    number = DEFAULT_POLICIES[policy].number
    if number is None:
        raise ValueError(f"the policy {policy!r} has no number: it needs no setting of its own")
    return _number_field(number)


def _number_field(number: PolicyNumber) -> Any:
    return Field(number.default, ge=0, le=number.largest, description=number.help)


_Model = TypeVar("_Model", bound=BaseModel)


def _with_every_policy_number(settings: type[_Model]) -> type[_Model]:
    """Return the class with a field for each policy's number that it does not have yet."""
    numbers = [kind.number for kind in DEFAULT_POLICIES.values() if kind.number is not None]
    missing: dict[str, Any] = {
        number.setting: (float, _number_field(number))
        for number in numbers
        if number.setting not in settings.model_fields
    }
    if not missing:
        return settings
    name, doc, module = settings.__name__, settings.__doc__, settings.__module__
    return create_model(name, __base__=settings, __doc__=doc, __module__=module, **missing)


@_with_every_policy_number
class Settings(_Section):
    """All settings. Those that are no table can also be set as `LLMDEAL_<NAME>` in the environment."""

    host: str = Field("127.0.0.1", description="Address to listen on; any other than loopback needs a virtual key.")
    port: int = Field(8000, ge=0, le=65_535, description="TCP port; 0: any free one.")
    workers: int = Field(1, ge=1, le=256, description="Processes that serve; each uses a core.")
    database: str = Field("", description="SQLAlchemy URL or SQLite file; empty: llmdeal.db in your data folder.")
    bundle: str = Field("", description="Folder of the quality model, or its name in models/; empty: the shipped one.")
    bundles: str = Field(
        "", description="Folder of further bundles, one per sub-folder; empty: bundles next to the database."
    )
    promotion: Literal["manual", "gated"] = Field(
        "manual",
        description="Who promotes a bundle: manual: you; gated: the gateway, if the gate says that it is better.",
    )
    smart_route_lanes: Literal["known", "priced"] = Field(
        "known",
        description="Lanes that smart-route chooses from. known: models with a row in data/models.yaml, or that the "
        "bundle knows. priced: every model with a price. Retired models, and free offers, are only for pins.",
    )
    policy: Annotated[str, AfterValidator(_policy_of_smart_route)] = Field(
        "best_value", description="How smart-route chooses where the caller sets no bar."
    )
    willingness_to_pay_usd: float = _number_of("best_value")
    quality_bar: float = _number_of("cheapest_above_bar")
    quality_of_best: float = _number_of("near_best")
    route_efforts: Annotated[str, AfterValidator(_efforts_to_set)] = Field(
        "all",
        description="Efforts of reasoning that the router may set if a request states none: all, off, or a list.",
    )
    strict_fields: bool = Field(
        default=False,
        description="True: fields that the gateway does not know, and searches that a request only offers, keep it "
        "with lanes of its own dialect. False: other lanes get it without them.",
    )
    account_corrections: str = Field(
        "", description="Folder that `llmdeal accounts-learn` writes; empty: account_corrections in your data folder."
    )
    calibrations: str = Field(
        "", description="Folder that `llmdeal calibrate` writes; empty: calibrations in your data folder."
    )
    seed: int = Field(0, ge=0, description="Seed of the random generator that policies draw with.")
    telemetry_content: ContentLogging = Field(
        "features", description="What is logged of prompts: none; features: numbers only; full: the text too."
    )
    outcome_checks_per_s: int = Field(
        25,
        ge=0,
        description="Answers a second that are checked in memory, in each worker; 0: none.",
    )
    sandbox: Literal["auto", "on", "off"] = Field(
        "auto", description="Simulated lanes; auto: if there is no other lane."
    )
    sandbox_pace: float = Field(1.0, ge=0, le=100, description="Factor on the sandbox's waiting times; 0: no waiting.")
    max_body_bytes: int = Field(20_000_000, ge=1_000, description="Largest request body, bytes.")
    idempotency_max_bytes: int = Field(
        1_000_000,
        ge=0,
        description="Longest answer that is kept under an idempotency key for a day, bytes.",
    )
    max_attempts: int = Field(4, ge=1, le=16, description="Upstream calls per request, retries and fallbacks together.")
    monthly_budget_usd: Price | None = Field(
        default=None, description="The most that everything may cost in a calendar month, USD; absent: no limit."
    )
    time_zone: str = Field(
        "UTC", description="Time zone of the budgets' months, a name of the IANA database: Europe/Berlin."
    )
    hold_output_tokens: int = Field(
        4_096,
        ge=1,
        description="The output tokens to reserve if neither request nor bundle says how long an answer gets.",
    )
    slow_start: Literal["wait", "race", "fall_back"] = Field(
        "wait",
        description=(
            "What to do when a stream is slow to start: wait; race: ask the next lane too, the first to start answers "
            "(both are paid); fall_back: give up on the slow lane."
        ),
    )
    slow_start_after_s: float = Field(
        5.0, gt=0, description="Time after which a stream that has not started counts as slow, seconds."
    )
    connect_timeout_s: float = Field(5.0, gt=0, description="Time to connect to a provider, seconds.")
    read_timeout_s: float = Field(120.0, gt=0, description="Longest silence of a provider, seconds.")
    total_timeout_s: float = Field(600.0, gt=0, description="Longest upstream call, seconds.")
    shared_state: str = Field(
        "",
        pattern=r"^((valkey|redis)s?://.+)?$",
        description="Valkey or Redis for limits over several workers: valkey://host:6379/0; empty: each counts alone.",
    )
    hosted_markup: Price = Field("1", description="Factor on the price that other accounts pay for your hosted lanes.")
    master_key: SecretStr | None = Field(
        None, description="Base64 of 32 bytes that seal stored keys; usually given as LLMDEAL_MASTER_KEY."
    )
    master_key_file: str = Field(
        "",
        description="File that holds the master key; empty: master.key in your configuration folder.",
    )
    key_wrapper: str = Field(
        "", description="package.module:factory of your own key wrapper, for example a key management service."
    )
    keys: SecretStr | None = Field(None, description="Virtual keys, comma-separated; usually given as LLMDEAL_KEYS.")
    virtual_keys: tuple[VirtualKeySettings, ...] = Field((), description="Virtual keys, each with a name.")
    providers: dict[str, ProviderSettings] = Field(
        {}, description="Your keys at providers; keys in the environment need no entry."
    )
    servers: tuple[ServerSettings, ...] = Field((), description="Your own OpenAI-compatible servers.")
    prices: PriceSettings = Field(PriceSettings(), description="Where newer prices come from.")
    watch: WatchSettings = Field(WatchSettings(), description="What is learned online, and when alarms ring.")
    alerts: AlertSettings | None = Field(
        None, description="Webhooks on the state of budgets and on the watch's alarms."
    )

    exploration: ExplorationSettings | None = Field(
        None, description="Share of requests that try another lane than the best one, and its price."
    )

    def named_virtual_keys(self) -> list[tuple[str, str]]:
        """Return all virtual keys as (name, key). Those of `LLMDEAL_KEYS` are named env-1, env-2 and so on."""
        loose = self.keys.get_secret_value().split(",") if self.keys else []
        named = [(f"env-{number}", text.strip()) for number, text in enumerate(loose, start=1) if text.strip()]
        return named + [(entry.name, entry.key.get_secret_value()) for entry in self.virtual_keys]


def environment_variable(name: str) -> str:
    """Return the environment variable that sets a top-level setting; empty for a table or list of llmdeal.toml."""
    return "" if _is_table(Settings.model_fields[name].annotation) else ENVIRONMENT_PREFIX + name.upper()


def _is_table(annotation: Any) -> bool:
    alternatives = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    return any(
        get_origin(each) in (dict, tuple) or (isinstance(each, type) and issubclass(each, BaseModel))
        for each in alternatives
    )


def load_settings(
    config_file: Path | None, environment: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Read and check all settings.

    Args:
        config_file: A TOML file that must exist; None: `llmdeal.toml` in the working folder, if it is there.
        environment: Environment variables, like `os.environ`.
        overrides: Values of the command line; None values count as not given.

    Raises:
        ConfigurationError: A file is missing or malformed, or a value is wrong. The error names it, never a secret.
    """
    values = _read_toml(config_file)
    values.update(_read_environment(environment))
    values.update({name: value for name, value in (overrides or {}).items() if value is not None})
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {failed_check(item['msg'])}{_meant(item['loc'])}"
            if item["type"] == "extra_forbidden"
            else f"{'.'.join(str(part) for part in item['loc'])}: {failed_check(item['msg'])}"
            for item in error.errors(include_input=False)
        )
        raise ConfigurationError(f"settings: {problems} (see 'llmdeal settings' for all names)") from None


def _meant(location: tuple[int | str, ...]) -> str:
    """Return the setting nearest to an unknown one, as a question; empty: there is none near."""
    section: Any = Settings
    for part in location[:-1]:
        if isinstance(part, str) and section is not None:
            field = section.model_fields.get(part)
            section = section if field is None else _section_in(field.annotation)  # else the key of a table of tables
    names = [] if section is None else list(section.model_fields)
    close = get_close_matches(str(location[-1]), names, n=1, cutoff=0.7)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """Return the kind of table that a setting's type holds; None: it holds none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((kind for inner in get_args(annotation) if (kind := _section_in(inner)) is not None), None)


def _read_environment(environment: Mapping[str, str]) -> dict[str, str]:
    values = {}
    for name in Settings.model_fields:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if variable not in environment:
            continue
        if not environment_variable(name):
            raise ConfigurationError(f"{variable} cannot set '{name}', which is a table. Write it in llmdeal.toml.")
        values[name] = environment[variable]
    return values


def _read_toml(config_file: Path | None) -> dict[str, Any]:
    path = config_file or DEFAULT_CONFIG_FILE
    if config_file is None and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from None


def check_exposure(settings: Settings) -> None:
    """Refuse to listen beyond this machine without a virtual key: any caller could spend the operator's money.

    Raises:
        ConfigurationError: The host is not loopback and no virtual key is set.
    """
    if settings.host not in LOOPBACK_HOSTS and not settings.named_virtual_keys():
        raise ConfigurationError(
            f"refusing to listen on {settings.host!r} without a virtual key. Make one with 'llmdeal new-key' and set "
            "LLMDEAL_KEYS, or listen on 127.0.0.1."
        )


def default_database_file(environment: Mapping[str, str]) -> Path:
    """Return the path of the embedded database: `$XDG_DATA_HOME/llmdeal/llmdeal.db`, or below ~/.local/share."""
    data_home = environment.get("XDG_DATA_HOME") or os.path.join(environment.get("HOME", "."), ".local", "share")
    return Path(data_home) / "llmdeal" / "llmdeal.db"
