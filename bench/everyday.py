"""Asks a bundle about the everyday suite: does it know which prompts are hard, how long answers are, and where to save?

Run `python -m bench.everyday [--bundle DIR] [--keys anthropic,openai,…] [--out FILE]`. It makes the lanes of a gateway
with made-up keys, decides every prompt by the default policy, and asks no provider.

All qualities, lengths and costs are what the bundle expects. Nothing is answered or graded. So the figures show whether
a bundle orders everyday work sensibly, not whether its choices were right.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.everyday_decisions import decide_suite, lanes_of
from bench.everyday_measures import TARGETS, Measures, PromptRow, best_row, measure, prompt_rows, weak_rows
from bench.everyday_suite import EASY_UP_TO, HARD_FROM, EverydayPrompt, read_suite
from router.errors import RouterError
from serve.bundles.choice import bundle_folder
from serve.errors import ConfigurationError, ServeError
from serve.packaged_files import data_dir

PROVIDERS: Final = ("anthropic", "openai", "openrouter", "groq", "deepseek", "xai")
_LANES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class EverydayReport:
    """The figures of one bundle.

    Args:
        bundle: Name of the bundle's folder.
        providers: Providers with a key.
        n_lanes: Number of lanes.
        best_lane: Id of the lane with the highest mean quality.
        weak_lanes: Ids of the cheapest tenth of the lanes.
        unanswered: Ids of the prompts that no lane could answer.
        whole: Figures of the whole suite.
        kinds: Name of a kind of work -> its figures.
        prompts: Decision on each prompt.
    """

    bundle: str
    providers: tuple[str, ...]
    n_lanes: int
    best_lane: str
    weak_lanes: tuple[str, ...]
    unanswered: tuple[str, ...]
    whole: Measures
    kinds: dict[str, Measures]
    prompts: list[PromptRow]


def judge_bundle(bundle: Path, providers: Sequence[str], prompts: Sequence[EverydayPrompt]) -> EverydayReport:
    """Decide the prompts and measure the decisions.

    Raises:
        BundleError: The bundle cannot be used.
        ConfigurationError: A provider is unknown, or no lane can answer any prompt.
    """
    directory, settings = lanes_of(bundle, providers)
    decisions = decide_suite(prompts, directory, settings)
    rows, best = prompt_rows(decisions), best_row(decisions)
    kinds = {prompt.kind: prompt.kind_name for prompt in decisions.prompts}
    return EverydayReport(
        bundle=bundle.name,
        providers=tuple(providers),
        n_lanes=len(decisions.lanes),
        best_lane=decisions.lanes[best].lane_id,
        weak_lanes=tuple(decisions.lanes[row].lane_id for row in weak_rows(decisions, best).tolist()),
        unanswered=decisions.unanswered,
        whole=measure(rows),
        kinds={name: measure([row for row in rows if row.kind == kind]) for kind, name in kinds.items()},
        prompts=rows,
    )


def report_text(report: EverydayReport) -> str:
    """Return the report as plain text: targets, further figures, chosen lanes, and a table by kind."""
    whole = report.whole
    chosen = Counter(row.lane for row in report.prompts).most_common()
    lines = [
        f"bundle {report.bundle}, {report.n_lanes} lanes at {', '.join(report.providers)}",
        f"best lane: {report.best_lane} (highest mean quality; of equals the cheapest)",
        f"weak lanes, the cheapest tenth: {', '.join(report.weak_lanes)}",
        f"{whole.n_prompts} prompts decided; easy: up to level {EASY_UP_TO}, hard: from level {HARD_FROM} on; "
        f"{whole.n_pairs} pairs of a kind",
        *([f"no lane could answer {', '.join(report.unanswered)}"] if report.unanswered else []),
        "",
        *_target_lines(whole),
        "",
        f"too short {_shown(whole.too_short)}, too long {_shown(whole.too_long)}; median expected length: easy "
        f"{_shown(whole.easy_tokens, 0)}, hard {_shown(whole.hard_tokens, 0)} tokens",
        f"P(good) of the best lane: easy {_shown(whole.easy_best_quality)}, hard {_shown(whole.hard_best_quality)}; "
        f"its lead over the weak lanes: easy {_shown(whole.easy_lead, 3)}, hard {_shown(whole.hard_lead, 3)}",
        f"pairs in which the hard prompt has the larger lead over the median lane: "
        f"{_shown(whole.lead_over_median_grows)}, the higher difficulty: {_shown(whole.difficulty_grows)}, "
        f"more characters: {_shown(whole.prompt_grows)}",
        f"different models that were chosen: {whole.distinct_models}",
        "",
        "prompts by chosen lane",
        *(f"{count:6}  {lane}" for lane, count in chosen[:_LANES_SHOWN]),
        *([f"        and {len(chosen) - _LANES_SHOWN} more lanes"] if len(chosen) > _LANES_SHOWN else []),
        "",
        *_kind_lines(report.kinds),
    ]
    return "\n".join(lines)


def report_json(report: EverydayReport) -> dict[str, Any]:
    """Return the report for programs; `targets` says for each target whether it holds."""
    targets = [
        {
            "measure": target.measure,
            "value": getattr(report.whole, target.measure),
            "target": target.value,
            "bound": "at most" if target.is_ceiling else "at least",
            "holds": target.holds(report.whole),
        }
        for target in TARGETS
    ]
    return {**asdict(report), "targets": targets}


def _target_lines(whole: Measures) -> list[str]:
    lines = []
    for target in TARGETS:
        verdict = "holds " if target.holds(whole) else "misses"
        value = getattr(whole, target.measure)
        shown = str(value) if isinstance(value, int) else _shown(value)
        bound = f"at {'most' if target.is_ceiling else 'least'} {target.value:g}"
        lines.append(f"{verdict}  {shown:>6}  {bound:<13}  {target.words}")
    return lines


def _kind_lines(kinds: dict[str, Measures]) -> list[str]:
    """Return the table by kind. Two numbers with a stroke are those of easy and of hard prompts."""
    width = max(map(len, kinds))
    heads = f"{'kind':<{width}}  {'in range':>8}  {'tokens':>9}  {'lead':>11}  {'lead grows':>10}"
    lines = [f"{heads}  {'cost easy':>9}  {'lost hard':>9}  {'lanes':>5}"]
    for name, one in kinds.items():
        tokens = f"{_shown(one.easy_tokens, 0)}/{_shown(one.hard_tokens, 0)}"
        lead = f"{_shown(one.easy_lead, 3)}/{_shown(one.hard_lead, 3)}"
        lines.append(
            f"{name:<{width}}  {_shown(one.in_range):>8}  {tokens:>9}  {lead:>11}  {_shown(one.lead_grows):>10}  "
            f"{_shown(one.easy_cost_share):>9}  {_shown(one.hard_shortfall, 3):>9}  {one.distinct_lanes:>5}"
        )
    return lines


def _shown(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _write(path: Path, report: EverydayReport) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report_json(report), indent=1) + "\n", encoding="utf-8")
    except OSError as problem:
        raise ConfigurationError(f"{path} cannot be written: {problem.strerror}. Name another file in --out.") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; return 1 if `--check` is given and a target is missed, 2 if the bundle cannot be asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--bundle", default="", help="folder of the bundle, or its name in models/; default: the shipped one"
    )
    parser.add_argument("--keys", default=",".join(PROVIDERS), help="providers with a key, separated by commas")
    parser.add_argument("--suite", type=Path, default=data_dir() / "everyday", help="folder of the suite")
    parser.add_argument("--out", type=Path, help="file for the figures and every decision, as JSON")
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    options = parser.parse_args(arguments)
    try:
        providers = [name.strip() for name in options.keys.split(",") if name.strip()]
        report = judge_bundle(bundle_folder(options.bundle), providers, read_suite(options.suite))
        print(report_text(report))
        if options.out is not None:
            _write(options.out, report)
    except (RouterError, ServeError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return int(options.check and not all(target.holds(report.whole) for target in TARGETS))


if __name__ == "__main__":
    sys.exit(main())
