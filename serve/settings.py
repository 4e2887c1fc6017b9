"""All settings, in one frozen object: defaults, then `llmdeal.toml`, then the environment (`LLMDEAL_…`), the later one winning."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from serve.errors import ConfigurationError

ENVIRONMENT_PREFIX = "LLMDEAL_"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
DEFAULT_CONFIG_FILE = Path("llmdeal.toml")

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

    name: str = Field(min_length=1, max_length=64, description="What logs and reports call it.")
    key: SecretStr = Field(description="The key itself; make one with 'llmdeal new-key'.")
    monthly_budget_usd: Price | None = Field(
        default=None, description="The most that it may spend in a calendar month, USD; absent: no limit."
    )
    lanes: tuple[str, ...] = Field(
        (), description="Patterns of lanes or vendor models that it may use: anthropic/*; empty: all."
    )
    tags: tuple[str, ...] = Field((), description="Put on each of its requests.")
    requests_per_minute: int | None = Field(default=None, ge=1, description="At most so many; absent: no limit.")
    tokens_per_minute: int | None = Field(
        default=None, ge=1, description="The same for tokens, prompt and answer together."
    )
    scopes: tuple[KeyScope, ...] = Field(
        ("inference",), description="What it may be used for: inference; read, admin and owner are of the admin API."
    )


class ServerModelSettings(_Section):
    """One model that you list and price yourself."""

    upstream_model: str = Field(min_length=1, description="The id that the server knows.")
    kind: Literal["chat", "embedding"] = Field(
        "chat", description="embedding: it makes vectors, for /v1/embeddings alone."
    )
    vendor_model: str | None = Field(None, description="vendor/model, when several lanes host the same one.")
    input_usd_per_mtok: Price = Field("0", description="USD per million input tokens.")
    output_usd_per_mtok: Price = Field("0", description="USD per million output tokens.")
    context_tokens: int | None = Field(None, ge=1, description="Longest prompt plus answer, tokens.")
    max_output_tokens: int | None = Field(None, ge=1, description="Longest answer, tokens.")
    capabilities: tuple[str, ...] = Field(
        (), description="tools, images, json_object, json_schema, reasoning, …; unlisted: not there."
    )
    trained_name: str | None = Field(None, description="Its name in the bundle, when its answers were graded there.")
    ability: float | None = Field(None, description="Prior ability on the bundle's logit scale, when they were not.")
    ability_std: float = Field(1.0, gt=0, description="Standard deviation of that prior.")


class ProviderKeySettings(_Section):
    """One `[[providers.<id>.keys]]` entry: one of several keys of yours at a provider."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", description="Its lanes are called <provider>@<name>/<model>.")
    key: SecretStr | None = Field(None, description="The provider key; better given in the environment.")
    key_env: str | None = Field(None, description="Environment variable that holds it.")
    monthly_budget_usd: Price | None = Field(
        default=None, description="The most that may be spent with it in a calendar month, USD; absent: no limit."
    )


class ProviderSettings(_Section):
    """One `[providers.<id>]` entry: a key of yours at a provider of data/providers."""

    key: SecretStr | None = Field(None, description="The provider key; better given in the environment.")
    key_env: str | None = Field(
        None, description="Environment variable that holds it, instead of the provider's usual one."
    )
    keys: tuple[ProviderKeySettings, ...] = Field(
        (),
        description="Several keys of one organisation, instead of one: they share its rate limits, each has its own budget.",
    )
    account: str | None = Field(
        None, description="The provider's account that limits belong to, when you have several keys."
    )
    base_url: str | None = Field(None, description="Instead of the provider's own; needed where it is yours (Azure).")
    region: Literal["eu", "us"] | None = Field(None, description="Use the provider's host of this region.")
    trains_on_data: bool | None = Field(
        None, description="What your agreement with the provider says; absent: as the catalogue."
    )
    retains_data: bool | None = Field(None, description="The same for keeping what is sent.")
    credentials: Literal["key", "aws", "google"] | None = Field(
        None,
        description="How to sign in, where a cloud takes more than a key: aws signs each request, google fetches tokens.",
    )
    project: str | None = Field(None, description="Of Google Cloud; absent: the service account's.")
    location: str | None = Field(
        None, description="Where a cloud runs it, in its own words: eu-central-1, europe-west4, global."
    )
    profile: str | None = Field(None, description="Of the shared AWS configuration, for credentials = aws.")
    monthly_budget_usd: Price | None = Field(
        default=None, description="The most that may be spent there in a calendar month, USD; absent: no limit."
    )
    requests_per_minute: float | None = Field(
        default=None, ge=1, description="The account's limit where you know it; else as the provider's headers say."
    )
    tokens_per_minute: float | None = Field(
        default=None, ge=1, description="The same for tokens, prompt and answer together."
    )
    models: tuple[ServerModelSettings, ...] = Field(
        (), description="Models besides those of the catalogue: Azure deployments, Ollama models, new ones."
    )
    is_enabled: bool = Field(True, description="False: leave this provider out.")
    is_hosted: bool = Field(
        default=False, description="True: other accounts may use it too, on your key, at its price times hosted_markup."
    )
    is_reserve: bool = Field(
        default=False,
        description="True: it is asked only when no other lane can answer: their budgets are spent, they rest.",
    )


class ServerSettings(_Section):
    """One `[[servers]]` entry: a server of your own."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="Its name, the first part of its lanes' ids.")
    base_url: str = Field(pattern=r"^https?://", description="Up to and including /v1.")
    dialect: Annotated[str, AfterValidator(_main_dialect)] = Field(
        "openai", description="Dialect that it speaks below the base URL; docs/settings.md lists the names."
    )
    also_speaks: tuple[Annotated[str, AfterValidator(_further_dialect)], ...] = Field(
        (), description="Further dialects below the same base URL, for callers that use them: anthropic, responses, …"
    )
    key: SecretStr | None = Field(
        None, description="Sent as a bearer token, as x-api-key or x-goog-api-key, where the server wants one."
    )
    region: Literal["eu", "us"] | None = Field(
        None, description="Where it runs; unknown satisfies no region constraint."
    )
    monthly_budget_usd: Price | None = Field(
        default=None, description="The most that may be spent there in a calendar month, USD; absent: no limit."
    )
    requests_per_minute: float | None = Field(
        default=None, ge=1, description="Send it no more than that; else as its headers say."
    )
    tokens_per_minute: float | None = Field(
        default=None, ge=1, description="The same for tokens, prompt and answer together."
    )
    models: tuple[ServerModelSettings, ...] = Field(min_length=1, description="What it serves.")
    is_hosted: bool = Field(
        default=False, description="True: other accounts may use it too, at its price times hosted_markup."
    )
    is_reserve: bool = Field(
        default=False,
        description="True: it is asked only when no other lane can answer: their budgets are spent, they rest.",
    )


class AlertSettings(_Section):
    """The `[alerts]` section: who is told how far budgets are spent, and of the watch's alarms."""

    webhook_url: str = Field(pattern=r"^https?://", description="Where webhooks are sent; redirects are not followed.")
    secret: SecretStr | None = Field(
        None, description="What they are signed with: whsec_ and base64 of 24 to 64 bytes."
    )
    secret_env: str | None = Field(None, description="Environment variable that holds it, instead.")
    thresholds: tuple[Annotated[int, Field(ge=1, le=100)], ...] = Field(
        (50, 80, 100), min_length=1, description="Percent of a budget's month at which its alert is sent."
    )


class ExplorationSettings(_Section):
    """The `[exploration]` section: how many requests try a lane that is not the best one, and at what price."""

    share: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="Of the requests on which there is a lane worth a try, how many try one; 0: none.",
    )
    monthly_ceiling_usd: Price | None = Field(
        default=None,
        description="The most that this may be expected to give up in a calendar month, USD; needed where share is not 0.",
    )
    quality_bar: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="P(good answer) below which no lane is tried, where the request has no bar of its own.",
    )
    most_lanes: int = Field(
        default=4, ge=1, le=64, description="So many lanes are tried at most for one request, those of most promise."
    )

    @model_validator(mode="after")
    def _has_a_ceiling(self) -> "ExplorationSettings":
        if self.share and not float(self.monthly_ceiling_usd or 0):
            raise ValueError("exploration needs a price: set monthly_ceiling_usd above 0, or share = 0")
        return self


class WatchSettings(_Section):
    """The `[watch]` section: what is learned online, and when alarms ring."""

    learns_lanes: bool = Field(
        default=True, description="Feedback moves what is believed of the lanes that gave the answers."
    )
    half_life_hours: float = Field(
        default=72.0, gt=0, description="After so long without news, half of what was learned of a lane is left."
    )
    max_shift: float = Field(
        default=2.0, gt=0, le=10, description="The most by which feedback may move a lane's log odds of a good answer."
    )
    tolerance: float = Field(
        default=0.05,
        ge=0,
        le=0.5,
        description="By how much a lane's mean reward may miss what was predicted before its alarm may ring.",
    )
    answers_between_false_alarms: float = Field(
        default=10_000,
        ge=100,
        description="Judged answers of a lane that pass at least, on average, until its alarm rings for nothing.",
    )
    stability_index: float = Field(
        default=0.2,
        gt=0,
        description="Population stability index of this week's prompts against those before, at which the alarm rings.",
    )
    price_change_percent: float = Field(
        default=20.0, gt=0, description="Change of a lane's price at which the alarm rings, percent."
    )


class Settings(_Section):
    """Everything that can be set; top-level scalars also as `LLMDEAL_<NAME>` in the environment."""

    host: str = Field("127.0.0.1", description="Address to listen on; other than loopback needs a virtual key.")
    port: int = Field(8000, ge=0, le=65_535, description="TCP port; 0: any free one.")
    workers: int = Field(1, ge=1, le=256, description="Processes that serve; each takes a core.")
    database: str = Field("", description="SQLAlchemy URL or SQLite file; empty: llmdeal.db in your data folder.")
    bundle: str = Field("", description="Folder of the quality model, or its name in models/; empty: the shipped one.")
    bundles: str = Field(
        "", description="Folder of further bundles, one in each sub-folder; empty: bundles beside the database."
    )
    promotion: Literal["manual", "gated"] = Field(
        "manual",
        description="Who promotes a bundle: you, or, with gated, the gateway itself where the gate says that it is better.",
    )
    policy: Literal["best_value", "near_best", "cheapest_above_bar", "cheapest", "lowest_latency"] = Field(
        "best_value", description="How smart-route chooses where the caller sets no bar."
    )
    willingness_to_pay_usd: float = Field(
        0.01, ge=0, le=1_000, description="What a good answer is worth, USD, for best_value."
    )
    quality_bar: float = Field(0.7, ge=0, le=1, description="P(good answer) wanted, for cheapest_above_bar.")
    quality_of_best: float = Field(
        0.95, ge=0, le=1, description="Share of the best lane's mean quality to keep, for near_best."
    )
    account_corrections: str = Field(
        "", description="Folder of what `llmdeal accounts-learn` found; empty: account_corrections in your data folder."
    )
    calibrations: str = Field(
        "", description="Folder of what `llmdeal calibrate` found; empty: calibrations in your data folder."
    )
    seed: int = Field(0, ge=0, description="Of the random generator that policies draw with.")
    telemetry_content: ContentLogging = Field(
        "features", description="What is logged of prompts: nothing, numbers only, or the text too."
    )
    outcome_checks_per_s: int = Field(
        25,
        ge=0,
        description="Answers a second that are checked in memory, in each worker: JSON that fits, refusals, cut ends, questions asked again; 0: none.",
    )
    sandbox: Literal["auto", "on", "off"] = Field(
        "auto", description="Simulated lanes; auto: when there is no other lane."
    )
    sandbox_pace: float = Field(1.0, ge=0, le=100, description="Factor on the sandbox's waiting times; 0: none.")
    max_body_bytes: int = Field(20_000_000, ge=1_000, description="Largest request body, bytes.")
    idempotency_max_bytes: int = Field(
        1_000_000,
        ge=0,
        description="Longest answer that is kept for a day, to be given again under its Idempotency-Key, bytes.",
    )
    max_attempts: int = Field(4, ge=1, le=16, description="Upstream calls per request, retries and fallbacks together.")
    monthly_budget_usd: Price | None = Field(
        default=None, description="The most that everything may cost in a calendar month, USD; absent: no limit."
    )
    time_zone: str = Field(
        "UTC", description="Whose calendar months budgets follow, as in the IANA database: Europe/Berlin."
    )
    hold_output_tokens: int = Field(
        4_096,
        ge=1,
        description="Output tokens that are reserved for at most, where a request does not say how many it wants.",
    )
    slow_start: Literal["wait", "race", "fall_back"] = Field(
        "wait",
        description="When a stream is slow to begin: wait; race: ask the next lane too, the first to begin answers (both are paid); fall_back: give up on the slow one.",
    )
    slow_start_after_s: float = Field(
        5.0, gt=0, description="How long a stream may take to begin before it counts as slow, seconds."
    )
    connect_timeout_s: float = Field(5.0, gt=0, description="To connect to a provider, seconds.")
    read_timeout_s: float = Field(120.0, gt=0, description="Longest silence of a provider, seconds.")
    total_timeout_s: float = Field(600.0, gt=0, description="Longest upstream call, seconds.")
    shared_state: str = Field(
        "",
        pattern=r"^((valkey|redis)s?://.+)?$",
        description="Valkey or Redis where several workers count requests and tokens a minute together: valkey://host:6379/0; empty: each counts for itself.",
    )
    hosted_markup: Price = Field(
        "1", description="What other accounts pay for your hosted lanes, as a factor on their price."
    )
    master_key: SecretStr | None = Field(
        None, description="Base64 of 32 bytes, under which stored keys are sealed; usually given as LLMDEAL_MASTER_KEY."
    )
    master_key_file: str = Field(
        "",
        description="A file that holds it; empty: master.key in your configuration folder, made on first start on loopback.",
    )
    key_wrapper: str = Field(
        "", description="package.module:factory of what wraps keys instead, such as a key management service."
    )
    keys: SecretStr | None = Field(None, description="Virtual keys, comma-separated; usually given as LLMDEAL_KEYS.")
    virtual_keys: tuple[VirtualKeySettings, ...] = Field((), description="Virtual keys, each with a name.")
    providers: dict[str, ProviderSettings] = Field(
        {}, description="Your keys at providers; those in the environment need no entry."
    )
    servers: tuple[ServerSettings, ...] = Field((), description="Your own OpenAI-compatible servers.")
    watch: WatchSettings = Field(WatchSettings(), description="What is learned online of lanes, and when alarms ring.")
    alerts: AlertSettings | None = Field(
        None, description="Webhooks that say how far budgets are spent, and which alarms of the watch ring."
    )

    exploration: ExplorationSettings | None = Field(
        None, description="How many requests try a lane that is not the best one, to learn from, and at what price."
    )

    def named_virtual_keys(self) -> list[tuple[str, str]]:
        """Return all virtual keys as (name, key); those of `LLMDEAL_KEYS` are named env-1, env-2 and so on."""
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
        environment: As in `os.environ`.
        overrides: From the command line; None values count as not given.

    Raises:
        ConfigurationError: A file is missing or malformed, or a value is wrong; names it, without its value where it is a secret.
    """
    values = _read_toml(config_file)
    values.update(_read_environment(environment))
    values.update({name: value for name, value in (overrides or {}).items() if value is not None})
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_input=False)
        )
        raise ConfigurationError(f"settings: {problems} (see 'llmdeal settings' for all names)") from None


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
    """Refuse to listen beyond this machine while anybody could spend the operator's money.

    Raises:
        ConfigurationError: The host is not loopback and no virtual key is set.
    """
    if settings.host not in LOOPBACK_HOSTS and not settings.named_virtual_keys():
        raise ConfigurationError(
            f"refusing to listen on {settings.host!r} without a virtual key: make one with 'llmdeal new-key' and set "
            "LLMDEAL_KEYS, or listen on 127.0.0.1"
        )


def default_database_file(environment: Mapping[str, str]) -> Path:
    """Return where the embedded database lives: `$XDG_DATA_HOME/llmdeal/llmdeal.db`, else below ~/.local/share."""
    data_home = environment.get("XDG_DATA_HOME") or os.path.join(environment.get("HOME", "."), ".local", "share")
    return Path(data_home) / "llmdeal" / "llmdeal.db"
