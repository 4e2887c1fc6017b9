"""The commands `llmdeal policy compare`, `judge` and `validate`: what logs say about policies and bundles."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from router.policies.best_value import DEFAULT_WILLINGNESS_TO_PAY_USD
from training.command_errors import one_line_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.reward import RewardRule
    from router.verdict import Verdict
    from training.telemetry.logged_requests import LoggedRequests

policy = typer.Typer(help="Judge routing policies and bundles on your own logs.", no_args_is_help=True)

LogsFolder = Annotated[Path, typer.Option("--logs", help="Folder that llmdeal export wrote.")]
Method = Annotated[
    Literal["ips", "snips", "dm", "dr", "switch-dr"], typer.Option(help="Estimator; keep dr unless you have a reason.")
]
Kind = Annotated[
    Literal["bootstrap", "bernstein", "anytime"],
    typer.Option(help="Kind of interval; anytime holds even if you look again and again."),
]
Value = Annotated[
    float, typer.Option("--value", min=0, help="Value of a good answer if the caller did not state one, USD.")
]
TimeValue = Annotated[float, typer.Option("--latency-value", min=0, help="What a second of waiting costs, USD.")]
Learner = Annotated[
    Literal["trees", "beliefs"],
    typer.Option("--reward-model", help="Estimator of the rewards of answers that were not seen."),
]
Signals = Annotated[
    Literal["judgements", "all"],
    typer.Option(
        help="What counts as a judged answer; judgements: thumbs, scores, ratings, judges; all: also automatic checks."
    ),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        help="A metric of your own that counts, name:worst:best:std, such as csat:1:10:0.3; may be repeated.",
    ),
]
Since = Annotated[datetime | None, typer.Option(help="Only requests from this time on, UTC.")]
Until = Annotated[datetime | None, typer.Option(help="Only requests before this time, UTC.")]
Seed = Annotated[int, typer.Option(min=0, help="Same logs, same seed: same figures.")]


@policy.command()
def compare(
    first: Annotated[
        str, typer.Argument(help="best_value, cheapest_above_bar:bar=0.8, lane:ID, logged, bundle=DIR,best_value, …")
    ],
    second: Annotated[str, typer.Argument(help="The policy to compare it with, written the same way.")],
    logs: LogsFolder,
    method: Method = "dr",
    interval: Kind = "bootstrap",
    value: Value = DEFAULT_WILLINGNESS_TO_PAY_USD,
    latency_value: TimeValue = 0.0,
    reward_model: Learner = "trees",
    signals: Signals = "judgements",
    metric: Metrics = None,
    since: Since = None,
    until: Until = None,
    seed: Seed = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write every figure to.")] = None,
) -> None:
    """Estimate what two policies would have earned on logged requests, and how sure that is."""
    from training.atomic_write import replace_file
    from training.off_policy.comparison import ComparisonSettings, compare_policies
    from training.off_policy.comparison_report import comparison_json, print_comparison
    from training.off_policy.policy_specs import parse_policy

    with one_line_errors("policy compare"):
        policies = parse_policy(first), parse_policy(second)
        settings = ComparisonSettings(
            method, interval, value_usd=value, latency_usd_per_s=latency_value, reward_model=reward_model, seed=seed
        )
        comparison = compare_policies(_read(logs, since, until, signals, metric), *policies, settings)
        if json_file is not None:
            text = json.dumps(comparison_json(comparison), indent=2, allow_nan=False)
            replace_file(json_file, lambda stream: stream.write(text.encode() + b"\n"))
    print_comparison(_wide_console(), comparison)


@policy.command()
def judge(
    challenger: Annotated[
        Path, typer.Argument(help="Folder of the bundle to be judged; verdict.json is written there.")
    ],
    champion: Annotated[Path, typer.Option(help="Folder of the bundle in use.")],
    logs: LogsFolder,
    spec: Annotated[
        str | None,
        typer.Option(
            "--policy", help="The policy that uses them; by default best_value at --value.", show_default=False
        ),
    ] = None,
    method: Method = "dr",
    interval: Kind = "bootstrap",
    value: Value = DEFAULT_WILLINGNESS_TO_PAY_USD,
    least_gain: Annotated[float, typer.Option(help="Least utility per request that it must surely gain, USD.")] = 0.0,
    quality_margin: Annotated[
        float, typer.Option(min=0, max=1, help="Most that quality may fall over all requests.")
    ] = 0.02,
    cost_margin: Annotated[
        float, typer.Option(min=0, help="Most that cost may rise, as a share of the champion's.")
    ] = 0.25,
    latency_margin: Annotated[
        float, typer.Option(min=0, help="Most that latency may rise, as a share of the champion's.")
    ] = 0.25,
    group_margin: Annotated[
        float, typer.Option(min=0, max=1, help="Most that an account's or a kind's quality may fall.")
    ] = 0.03,
    signals: Signals = "judgements",
    metric: Metrics = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="Only requests from this time on, UTC; later than all that either bundle learned from."),
    ] = None,
    until: Until = None,
) -> None:
    """Judge a bundle against the champion on later logs, and write verdict.json next to its manifest.

    Exit status 1: not better.
    """
    from router.verdict import write_verdict
    from training.off_policy.comparison import ComparisonSettings
    from training.off_policy.policy_specs import parse_rule
    from training.promotion.gate import GateSettings, judge_bundles

    with one_line_errors("policy judge"):
        limits = (least_gain, quality_margin, cost_margin, latency_margin, group_margin)
        settings = GateSettings(*limits, comparison=ComparisonSettings(method, interval, value_usd=value))
        rule = None if spec is None else parse_rule(spec)
        verdict = judge_bundles(
            _read(logs, since, until, signals, metric), challenger, champion, datetime.now(UTC), settings, rule
        )
        path = write_verdict(challenger, verdict)
    _print_verdict(_wide_console(), verdict, path)
    raise SystemExit(0 if verdict.is_better else 1)


def _print_verdict(console: Console, verdict: "Verdict", path: Path) -> None:
    outcome = "[green]better than[/]" if verdict.is_better else "[yellow]not shown to be better than[/]"
    console.print(
        f"{verdict.challenger_version} is {outcome} {verdict.champion_version}, on {verdict.n_requests:,} requests."
    )
    for reason in verdict.reasons:
        console.print(f"- {reason}")
    for guard in verdict.guards:
        console.print(f"[dim]  {guard.outcome}: {guard.name}: {guard.note}[/]")
    console.print(f"Wrote {path}.")


@policy.command()
def validate(
    runs: Annotated[int, typer.Option(min=2, help="Runs of each scenario; 1,000 take some minutes.")] = 100,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
) -> None:
    """Measure the estimators' errors, and how often the intervals hold, on traffic with a known truth."""
    from training.off_policy.validation import SCENARIOS, markdown
    from training.off_policy.validation import validate as run_scenario

    for line in markdown(run_scenario(name, scenario, runs, workers) for name, scenario in SCENARIOS.items()):
        typer.echo(line)


def _read(
    logs: Path, since: datetime | None, until: datetime | None, signals: str, metric: list[str] | None
) -> "LoggedRequests":
    from router.reward import read_reward_rules
    from training.off_policy.signals import judgement_rules
    from training.telemetry.reader import read_logs

    rules: Mapping[str, RewardRule] = read_reward_rules(metric or ())
    if signals == "judgements":
        rules = judgement_rules(rules)
    return read_logs(logs, _aware(since), _aware(until), rules=rules)


def _aware(at: datetime | None) -> datetime | None:
    return at if at is None or at.tzinfo is not None else at.replace(tzinfo=UTC)


def _wide_console() -> Console:
    """Return a console with room for the tables when the output is not a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, 160))
