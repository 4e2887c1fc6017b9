"""Writes an evaluation as one HTML page that needs no other file.

The page follows the reader's light or dark mode, prints, and loads nothing. Its pictures are written next to it as PNG,
and its figures as JSON.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from training.errors import SettingsError
from training.evaluation.collection import SourceResult
from training.evaluation.evaluate import BundleEvaluation
from training.evaluation.new_models import WAY_TITLES
from training.evaluation.report.collection_plots import calibration_picture, length_picture, plot_calibration
from training.evaluation.report.quality_cost_plot import plot_quality_cost
from training.evaluation.report.small_plots import plot_regret, plot_reliability
from training.evaluation.report.terminal import measure_cells

PAGE_FILE, FIGURES_FILE = "report.html", "figures.json"
CALIBRATION_FILE: Final = "calibration-of-today.png"
_TEMPLATE = "page.html.j2"
_BASIS_TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "own_grades": "graded answers of their own",
        "published_scores": "published scores",
        "class": "price, family and date",
    }
)


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
    if evaluation.work:
        plot_calibration(evaluation.work, folder / CALIBRATION_FILE)
    page = template.render(
        evaluation=evaluation,
        pictures=inlined,
        work_pictures={result.source: _work_pictures(result) for result in evaluation.work},
        basis_titles=_BASIS_TITLES,
        cells=measure_cells,
        way_titles=WAY_TITLES,
        date=datetime.now(UTC).date(),
        command=command,
    )
    (folder / PAGE_FILE).write_text(page, encoding="utf-8")
    (folder / FIGURES_FILE).write_text(json.dumps(_figures(evaluation), indent=1) + "\n", encoding="utf-8")


def _work_pictures(result: SourceResult) -> dict[str, str]:
    """Return the pictures of one source, each as base64 of a PNG."""
    pictures = {"calibration": calibration_picture(result)}
    if result.lengths is not None:
        pictures["lengths"] = length_picture(result)
    return {name: base64.b64encode(content).decode() for name, content in pictures.items()}


def _work_figures(result: SourceResult) -> dict[str, object]:
    figures = {name: getattr(result, name) for name in ("prompts", "rows", "cells", "brier")}
    lengths, pool = result.lengths, result.pool
    return figures | {
        "brier_leads_90": {name: asdict(interval) for name, interval in result.brier_leads.items()},
        "calibration": {
            name: {
                "error": each.error,
                "stated": each.stated.tolist(),
                "graded": each.graded.tolist(),
                "cells": each.cells.tolist(),
            }
            for name, each in result.calibration.items()
        },
        "lengths": None
        if lengths is None
        else {name: getattr(lengths, name) for name in ("what", "n", "off", "off_by_means", "bias")},
        "pool": None
        if pool is None
        else {name: getattr(pool, name) for name in ("rows", "prompts", "best_single", "oracle")}
        | {"gaps": dict(pool.gaps)}
        | {"gap_90": {name: asdict(interval) for name, interval in pool.gap_intervals.items()}}
        | {"lead_90": {name: asdict(interval) for name, interval in pool.leads.items()}},
        "tasks": [asdict(each) for each in result.tasks],
        "missed_rows": [asdict(each) for each in result.missed_rows],
    }


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
        "bundle": asdict(evaluation.facts),
        "work": {result.source: _work_figures(result) for result in evaluation.work},
        "pools": pools,
        "decision": asdict(evaluation.decision),
        "left_out": [asdict(row) for row in evaluation.left_out],
        "new_models": [asdict(row) for row in evaluation.new_models],
        "ablations": evaluation.ablations,
    }
    plain: dict[str, object] = json.loads(json.dumps(figures, default=float), parse_constant=lambda name: None)
    return plain
