"""Writes an evaluation as one HTML page that needs no other file.

Its pictures are written next to it as PNG, and its figures as JSON.
"""

import base64
import json
from dataclasses import asdict
from pathlib import Path

from training.errors import SettingsError
from training.evaluation.evaluate import BundleEvaluation
from training.evaluation.new_models import WAY_TITLES
from training.evaluation.report.quality_cost_plot import plot_quality_cost
from training.evaluation.report.small_plots import plot_regret, plot_reliability
from training.evaluation.report.terminal import measure_cells

PAGE_FILE, FIGURES_FILE = "report.html", "figures.json"
_TEMPLATE = "page.html.j2"


def write_report(evaluation: BundleEvaluation, folder: Path, command: str) -> None:
    """Write `report.html`, its pictures and `figures.json` into a folder, which is created if it is missing.

    Args:
        evaluation: Results to show.
        folder: Folder to write to; other files in it stay.
        command: Command that gives these figures, for the foot of the page.

    Raises:
        SettingsError: The folder cannot be written.
    """
    import jinja2

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise SettingsError(f"--out {folder}: cannot be created ({problem.strerror}): choose another place") from None
    pictures = {"quality_cost": "quality-cost.png", "reliability": "reliability.png", "regret": "regret.png"}
    plot_quality_cost(evaluation.pools, folder / pictures["quality_cost"], f"Routing with {evaluation.version}")
    plot_reliability(evaluation.pools, folder / pictures["reliability"])
    plot_regret(evaluation.pools, folder / pictures["regret"])
    inlined = {name: base64.b64encode((folder / file).read_bytes()).decode() for name, file in pictures.items()}
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string((Path(__file__).parent / _TEMPLATE).read_text(encoding="utf-8"))
    page = template.render(
        evaluation=evaluation, pictures=inlined, cells=measure_cells, way_titles=WAY_TITLES, command=command
    )
    (folder / PAGE_FILE).write_text(page, encoding="utf-8")
    (folder / FIGURES_FILE).write_text(json.dumps(_figures(evaluation), indent=1) + "\n", encoding="utf-8")


def _figures(evaluation: BundleEvaluation) -> dict[str, object]:
    """Return all numbers, for programs; NaN becomes null, because JSON has no NaN."""
    pools = {
        report.judged.pool.source: {
            "routers": {name: asdict(row) for name, row in report.judged.measures.items()},
            "gap_closed_90": {name: asdict(interval) for name, interval in report.confidence.gaps.items()},
            "lead_90": {name: asdict(interval) for name, interval in report.confidence.leads.items()},
            "tasks": [asdict(row) for row in report.tasks],
            "regret_by_difficulty": {name: lost.tolist() for name, lost in report.regret.lost.items()},
            "bars": [asdict(row) for row in report.bars],
            "stability": asdict(report.stability),
        }
        for report in evaluation.pools
    }
    figures = {
        "version": evaluation.version,
        "note": evaluation.note,
        "pools": pools,
        "decision": asdict(evaluation.decision),
        "left_out": [asdict(row) for row in evaluation.left_out],
        "new_models": [asdict(row) for row in evaluation.new_models],
        "ablations": evaluation.ablations,
    }
    plain: dict[str, object] = json.loads(json.dumps(figures, default=float), parse_constant=lambda name: None)
    return plain
