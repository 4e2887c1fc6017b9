"""Writes the studies as JSON, as Markdown, and into a bundle."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from router.bundle import CARD_FILE, MANIFEST_FILE, load_bundle
from router.errors import BundleError
from router.pool_figures import POOLS_ENTRY
from training.atomic_write import replace_file
from training.bundle.model_card import render_model_card
from training.bundle.parity import ParityReport
from training.errors import SettingsError
from training.pools.comparison import PolicyFigures, PoolComparison
from training.pools.policies import (
    COMPLEXITY,
    FIXED,
    MIDDLE_TIER,
    MIX,
    NEIGHBOURS,
    OURS,
    OURS_WITH_COSTS,
    STRONG_TIER,
    TREES,
)
from training.pools.study import Ablation, UnseenSource

_LEADS = (STRONG_TIER, MIDDLE_TIER, COMPLEXITY, NEIGHBOURS, TREES, OURS, OURS_WITH_COSTS)
_AT_FIXED = (FIXED, MIX, NEIGHBOURS, TREES, OURS, OURS_WITH_COSTS)
_ROUTERS = (NEIGHBOURS, TREES, OURS, OURS_WITH_COSTS)
_GAPS = (MIX, *_ROUTERS)


def as_json(
    comparisons: Sequence[PoolComparison],
    unseen: Sequence[UnseenSource],
    ablations: Sequence[Ablation],
    litellm: str | None,
) -> dict[str, Any]:
    """Return all figures for programs."""
    return {
        "litellm": litellm,
        "pools": [asdict(each) | {"is_small": each.is_small} for each in comparisons],
        "unseen_sources": [asdict(each) for each in unseen],
        "ablations": [asdict(each) for each in ablations],
    }


def comparison_text(comparisons: Sequence[PoolComparison]) -> str:
    """Return the pools of the largest set of keys as Markdown tables."""
    most = max(len(each.keys) for each in comparisons)
    shown = [each for each in comparisons if len(each.keys) == most]
    pools = _table(
        ("pool", "lanes", "fitted", "aside", "costs", "fixed lane", "mean cost, USD"),
        [
            (each.source, len(each.lanes), each.n_fitted, f"{each.n_aside}{' (few)' if each.is_small else ''}",
             each.cost_basis, each.fixed_lane, f"{each.policies[FIXED].costs[0]:.2g}")
            for each in shown
        ],
    )  # fmt: skip
    leads = _table(
        ("pool", *_LEADS), [(each.source, *(_lead(each.policies.get(name)) for name in _LEADS)) for each in shown]
    )
    hindsight = _table(
        ("pool", *_ROUTERS),
        [(each.source, *(_points(each.policies[name].lead_in_hindsight, 1) for name in _ROUTERS)) for each in shown],
    )
    at_fixed = _table(
        ("pool", *_AT_FIXED),
        [(each.source, *(_at_fixed(each.policies.get(name)) for name in _AT_FIXED)) for each in shown],
    )
    gaps = _table(("pool", *_GAPS), [(each.source, *(_gap(each.policies[name]) for name in _GAPS)) for each in shown])
    return "\n\n".join(
        (
            pools,
            "Lead over the mix of two lanes at the same mean cost, in hundredths of score, with its 90% interval:",
            leads,
            "The same over a mix of lanes that were chosen by the judged prompts themselves:",
            hindsight,
            "Best score at no more than the fixed lane's cost; share of its cost at which its score is reached:",
            at_fixed,
            "Gap closed:",
            gaps,
            worths_text(shown),
        )
    )


def worths_text(comparisons: Sequence[PoolComparison]) -> str:
    """Return mean score and mean cost of every policy at three worths of a good answer, as a Markdown table."""
    rows = []
    for each in comparisons:
        for name, figures in each.policies.items():
            if name == MIX:
                continue
            places = [0] * 3 if len(figures.scores) == 1 else [1, 2, 4]
            cells = [f"{figures.scores[place]:.3f} at {figures.costs[place]:.2g}" for place in places]
            rows.append((each.source, name, *(cells if len(figures.scores) > 1 else [cells[0], "", ""])))
    return "Mean score and cost (USD) at 3, 10 and 100 median costs for a good answer:\n\n" + _table(
        ("pool", "policy", "3", "10", "100"), rows
    )


def unseen_text(unseen: Sequence[UnseenSource]) -> str:
    """Return the sources that were left out as a Markdown table."""
    return _table(
        ("source left out", "prompts", "Brier: mean of the others", "llmdeal", "gap closed", "costs known"),
        [
            (each.source, each.n_prompts, f"{each.brier_told_nothing:.3f}", f"{each.brier:.3f}",
             _number(each.gap_closed), _number(each.gap_closed_costs_known))
            for each in unseen
        ],
    )  # fmt: skip


def ablations_text(ablations: Sequence[Ablation]) -> str:
    """Return the parts that were taken out as Markdown tables: Brier scores by source, and gaps closed."""
    parts = list(dict.fromkeys(each.left_out for each in ablations))
    sources = list(dict.fromkeys(each.source for each in ablations))
    of = {(each.left_out, each.source): each for each in ablations}
    with_costs = [source for source in sources if of[parts[0], source].gap_closed is not None]
    briers = _table(
        ("Brier without", *parts),
        [(source, *(f"{of[part, source].brier:.3f}" for part in parts)) for source in sources],
    )
    gaps = _table(
        ("gap closed without", *parts),
        [
            (f"{source}{label}", *(_number(getattr(of[part, source], name)) for part in parts))
            for source in with_costs
            for label, name in (("", "gap_closed"), (", costs known", "gap_closed_costs_known"))
        ],
    )
    return f"{briers}\n\n{gaps}"


def write_into_bundle(folder: Path, comparisons: Sequence[PoolComparison]) -> None:
    """Put the figures of llmdeal into a bundle's manifest and card.

    Args:
        folder: Folder of the bundle; it is changed in place. Figures of an earlier run are replaced.
        comparisons: Pools of all sets of keys.

    Raises:
        SettingsError: The folder holds no bundle that can be loaded.
    """
    try:
        load_bundle(folder)
    except BundleError as problem:
        raise SettingsError(str(problem)) from None
    manifest = json.loads((folder / MANIFEST_FILE).read_bytes())
    manifest[POOLS_ENTRY] = [manifest_entry(each) for each in comparisons]
    parity = ParityReport(int(manifest["parity"]["prompts"]), 0.0, 0.0)
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    replace_file(folder / MANIFEST_FILE, lambda stream: stream.write(text.encode()))
    card = render_model_card(manifest, parity)
    replace_file(folder / CARD_FILE, lambda stream: stream.write(card.encode()))


def manifest_entry(comparison: PoolComparison) -> dict[str, Any]:
    """Return one pool as `router.pool_figures` reads it."""
    ours = comparison.policies[OURS]
    low = ours.lead_interval.low if ours.beats_the_mix else min(ours.lead_interval.low, 0.0)
    return {
        "source": comparison.source,
        "work": comparison.work,
        "keys": list(comparison.keys),
        "models": sorted({lane.partition("@")[0] for lane in comparison.lanes}),
        "prompts": comparison.n_aside,
        "is_small": comparison.is_small,
        "cost_basis": comparison.cost_basis,
        "gap_closed": round(ours.gap_closed or 0.0, 4),
        "lead": round(ours.lead, 4),
        "lead_low": round(low, 4),
        "lead_high": round(max(ours.lead_interval.high, low), 4),
    }


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    marks = "|---|" + "--:|" * (len(heads) - 1)
    lines = [f"| {' | '.join(map(str, row))} |" for row in (heads, *rows)]
    return "\n".join([lines[0], marks, *lines[1:]])


def _lead(figures: PolicyFigures | None) -> str:
    if figures is None:
        return ""
    ends = f"({_points(figures.lead_interval.low, 0)}, {_points(figures.lead_interval.high, 0)})"
    mark = "**" if figures.beats_the_mix else ""
    return f"{mark}{_points(figures.lead, 1)}{mark} {ends}"


def _points(share: float, digits: int) -> str:
    """Return a share in hundredths with its sign; what rounds to 0 has none."""
    points = round(100 * share, digits)
    return f"{points:+.{digits}f}" if points else "0"


def _at_fixed(figures: PolicyFigures | None) -> str:
    if figures is None or figures.score_at_fixed_cost is None:
        return "–"
    share = figures.cost_share_at_fixed_score
    return f"{figures.score_at_fixed_cost:.3f}; {'never' if share is None else f'{share:.0%}'}"


def _gap(figures: PolicyFigures) -> str:
    return _number(figures.gap_closed)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
