"""The subjects of the benchmark: how each one is started in front of the mock, and how it is called."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.load import Target
from bench.processes import free_port
from bench.prompts import SMART_ROUTE, messages_bodies, request_bodies
from serve.identity.virtual_keys import issue_virtual_key

MOCK = "mock alone"
PLAIN = "FastAPI + httpx"
LLMDEAL = "llmdeal"
BUDGETED = "llmdeal, budgets"
BASELINE = "llmdeal, baseline"
LITELLM = "LiteLLM"
DATABASE_FILE = "telemetry.db"

PEERS = {
    "FastAPI + httpx2": ("bench.plain_proxy", "httpx2"),
    "FastAPI + httpx on aiohttp": ("bench.plain_proxy", "httpx-aiohttp"),
    "plain ASGI + pyreqwest": ("bench.bare_proxy", "pyreqwest"),
    "plain ASGI + aiohttp": ("bench.bare_proxy", "aiohttp"),
}
"""Name -> (module that runs it, client)."""

# (upstream model, trained name, USD per million input and output tokens), from cheap to expensive.
_PRICED_MODELS = (
    ("small", "llama-3.1-8b-instruct", "0.02", "0.05"),
    ("mini", "gpt-4o-mini-2024-07-18", "0.15", "0.60"),
    ("large", "claude-3-5-sonnet-20241022", "3.00", "15.00"),
    ("reasoning", "o1-mini-2024-09-12", "1.10", "4.40"),
)
# So little that the prompts spread over the lanes. The log then shows that each prompt had its own decision.
_WILLINGNESS_TO_PAY_USD = 0.003


@dataclass(frozen=True, slots=True)
class Subject:
    """One server to measure.

    Args:
        name: Name in the report.
        command: Command that starts the server.
        whole: Requests for whole answers.
        streamed: Requests for streams.
        environment: Environment variables, in addition to those of this process.
        across: Requests for streams in another dialect than the provider's; None: the server has no other dialect.
    """

    name: str
    command: tuple[str, ...]
    whole: Target
    streamed: Target
    environment: Mapping[str, str] = field(default_factory=dict)
    across: Target | None = None


def mock_subject() -> Subject:
    """Return the provider itself: the limit of all rates, and the baseline of all latencies."""
    port = free_port()
    return _subject(MOCK, (sys.executable, "-m", "bench.mock_upstream", "--port", str(port)), port)


def plain_subject(upstream: str) -> Subject:
    """Return the simplest proxy."""
    port = free_port()
    command = (sys.executable, "-m", "bench.plain_proxy", "--upstream", upstream, "--port", str(port))
    return _subject(PLAIN, command, port)


def peer_subjects(upstream: str, python: str) -> list[Subject]:
    """Return proxies that only forward, from the slowest client to the fastest.

    Args:
        upstream: Base URL of the mock.
        python: Python of an environment with fastapi, httpx2, httpx-aiohttp, aiohttp, pyreqwest, uvicorn, uvloop and
            httptools.
    """
    subjects = []
    for name, (module, client) in PEERS.items():
        port = free_port()
        command = (python, "-m", module, "--client", client, "--upstream", upstream, "--port", str(port))
        subjects.append(_subject(name, command, port))
    return subjects


def llmdeal_subject(upstream: str, folder: Path, *, has_budgets: bool = False) -> Subject:
    """Return the gateway with its usual work.

    It routes over four priced lanes, with a virtual key, costs, metrics and telemetry to SQLite.

    Args:
        upstream: Base URL of the mock.
        folder: Folder for its settings and its database.
        has_budgets: Whether the account, the provider key and the virtual key have budgets; they are never spent.
    """
    port = free_port()
    folder.mkdir(exist_ok=True)
    config = folder / "llmdeal.toml"
    virtual_key = issue_virtual_key("test")
    config.write_text(_gateway_settings(upstream, folder / DATABASE_FILE, virtual_key, has_budgets=has_budgets))
    start = "from serve.cli.main import run; run()"
    command = (
        sys.executable,
        "-c",
        start,
        "serve",
        "--config",
        str(config),
        "--port",
        str(port),
        "--log-level",
        "warning",
    )
    subject = _subject(BUDGETED if has_budgets else LLMDEAL, command, port, virtual_key)
    across = Target(
        f"http://127.0.0.1:{port}/v1/messages",
        f"Bearer {virtual_key}",
        messages_bodies(),
        is_streaming=True,
        end_mark=b"event: message_stop",
    )
    return replace(subject, across=across)


def baseline_subject(upstream: str, folder: Path, python: str) -> Subject:
    """Return another build of the gateway, with the same settings.

    Args:
        upstream: Base URL of the mock.
        folder: Folder for its settings and its database.
        python: Python of an environment where that build is installed.
    """
    subject = llmdeal_subject(upstream, folder)
    # -P: the folder that the bench runs in has a build, too, and would win.
    return replace(subject, name=BASELINE, command=(python, "-P", *subject.command[1:]))


def litellm_subject(upstream: str, folder: Path, python: str) -> Subject:
    """Return LiteLLM's proxy with one worker, set up as in its production guide, but without a database.

    Args:
        upstream: Base URL of the mock.
        folder: Folder for its settings.
        python: Python of an environment with `litellm[proxy]`.
    """
    port = free_port()
    config = folder / "litellm.yaml"
    config.write_text(_LITELLM_SETTINGS.format(model=SMART_ROUTE, upstream=upstream))
    litellm = str(Path(python).with_name("litellm"))
    command = (litellm, "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
    environment = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return _subject(LITELLM, command, port, "sk-bench", environment)


def _subject(
    name: str, command: tuple[str, ...], port: int, bearer: str = "", environment: Mapping[str, str] | None = None
) -> Subject:
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    authorization = f"Bearer {bearer}" if bearer else ""
    return Subject(
        name,
        command,
        Target(url, authorization, request_bodies(is_streaming=False)),
        Target(url, authorization, request_bodies(is_streaming=True), is_streaming=True),
        environment or {},
    )


def _gateway_settings(upstream: str, database: Path, virtual_key: str, *, has_budgets: bool) -> str:
    budget = ['monthly_budget_usd = "1000000"'] if has_budgets else []
    lines = [
        f'database = "{database}"',
        f"willingness_to_pay_usd = {_WILLINGNESS_TO_PAY_USD}",
        *budget,
        "",
        "[[virtual_keys]]",
        'name = "bench"',
        f'key = "{virtual_key}"',
        *budget,
        "",
        "[[servers]]",
        'id = "mock"',
        f'base_url = "{upstream}"',
        'key = "sk-mock"',
        *budget,
    ]
    for upstream_model, trained_name, input_usd, output_usd in _PRICED_MODELS:
        lines += [
            "",
            "[[servers.models]]",
            f'upstream_model = "{upstream_model}"',
            f'trained_name = "{trained_name}"',
            f'input_usd_per_mtok = "{input_usd}"',
            f'output_usd_per_mtok = "{output_usd}"',
            "context_tokens = 128000",
        ]
    return "\n".join(lines) + "\n"


_LITELLM_SETTINGS = """\
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/mock
      api_base: {upstream}
      api_key: sk-mock
      input_cost_per_token: 0.00000015
      output_cost_per_token: 0.0000006
general_settings:
  master_key: sk-bench
litellm_settings:
  set_verbose: false
  telemetry: false
"""
