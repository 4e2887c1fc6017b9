"""Compares champion and challenger on the judged requests, in numbers and two pictures.

One picture shows stated against true quality, the other one quality against cost.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from training.atomic_write import replace_file
from training.retrain.judging import TestRequests
from training.telemetry.logged_requests import LoggedRequests

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = npt.NDArray[np.float64]

N_BINS = 10
WORTHS_USD: Floats = np.logspace(-4, 0, 25)
"""Values of a good answer, one for each point of the curve."""
_COLOURS = {"champion": "#777777", "challenger": "#0072B2"}  # Okabe and Ito (2008)


@dataclass(frozen=True, slots=True, eq=False)
class BundleFigures:
    """Figures of one bundle on the judged requests.

    Args:
        stated, rewarded: Shape (N_BINS,), mean stated P(good) of the lane that answered, and mean reward; NaN for an
            empty bin.
        answers: Shape (N_BINS,), number of answers.
        calibration_error: Mean |reward - stated| over the bins, weighted by their answers.
        log_loss: Mean log loss of the rewards.
        curve: Shape (k, 2), mean cost and mean quality if lanes are chosen by this bundle, one point for each value of
            `WORTHS_USD` with enough logs.
    """

    stated: Floats
    rewarded: Floats
    answers: Floats
    calibration_error: float
    log_loss: float
    curve: Floats


@dataclass(frozen=True, slots=True, eq=False)
class RetrainReport:
    """Figures of both bundles, and the number of judged requests that they were compared on."""

    champion: BundleFigures
    challenger: BundleFigures
    n_judged: int


def make_report(requests: TestRequests) -> RetrainReport:
    """Return the figures of both bundles on the requests that neither learned from."""
    judged = np.flatnonzero(np.isfinite(requests.logs.reward) & requests.logs.is_answered)
    return RetrainReport(_figures(requests.logs, judged), _figures(requests.challenger, judged), len(judged))


def _figures(logs: LoggedRequests, judged: npt.NDArray[np.intp]) -> BundleFigures:
    stated = logs.quality[judged, logs.chosen[judged]].astype(np.float64)
    is_finite = np.isfinite(stated)
    stated, reward = np.clip(stated[is_finite], 1e-6, 1 - 1e-6), logs.reward[judged][is_finite]
    place = np.minimum((stated * N_BINS).astype(int), N_BINS - 1)
    answers = np.bincount(place, minlength=N_BINS).astype(np.float64)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, weights=values, minlength=N_BINS) / answers for values in (stated, reward)]
    surprise = -(reward * np.log(stated) + (1 - reward) * np.log1p(-stated))
    error = float(np.nansum(np.abs(means[1] - means[0]) * answers) / max(answers.sum(), 1))
    return BundleFigures(
        means[0], means[1], answers, error, float(surprise.mean()) if len(surprise) else float("nan"), _curve(logs)
    )


def _curve(logs: LoggedRequests) -> Floats:
    """Return (cost, quality) of the policy best_value at each worth, by self-normalised inverse propensities."""
    points = []
    is_judged = np.isfinite(logs.reward) & logs.is_answered
    is_paid = np.isfinite(logs.cost_usd)
    for worth in WORTHS_USD:
        score = np.where(logs.is_eligible, worth * logs.quality - logs.expected_cost_usd, -np.inf)
        best = np.where(np.isnan(score), -np.inf, score).argmax(axis=1)
        weight = (best == logs.chosen) / logs.propensity
        if (weight[is_judged] > 0).sum() < N_BINS:
            continue
        cost = np.average(logs.cost_usd[is_paid], weights=weight[is_paid])
        points.append((cost, np.average(logs.reward[is_judged], weights=weight[is_judged])))
    return np.array(points, np.float64).reshape(-1, 2)


def plot_calibration(report: RetrainReport, path: Path) -> None:
    """Write a PNG of mean reward against stated quality, in one step."""
    axes = _axes("stated P(good answer)", "mean reward")
    axes.plot([0, 1], [0, 1], color="#999999", linestyle=":", linewidth=1.2)
    for name, figures in (("champion", report.champion), ("challenger", report.challenger)):
        has_answers = figures.answers > 0
        label = f"{name}: calibration error {figures.calibration_error:.3f}"
        stated, rewarded = figures.stated[has_answers], figures.rewarded[has_answers]
        axes.plot(stated, rewarded, color=_COLOURS[name], marker="o", label=label)
    _save(axes, path)


def plot_quality_cost(report: RetrainReport, path: Path) -> None:
    """Write a PNG of the mean reward against the mean cost of choosing by each bundle, in one step."""
    axes = _axes("mean cost, USD per 1,000 requests", "mean reward")
    for name, figures in (("champion", report.champion), ("challenger", report.challenger)):
        axes.plot(figures.curve[:, 0] * 1_000, figures.curve[:, 1], color=_COLOURS[name], marker="o", label=name)
    if len(report.champion.curve) and (report.champion.curve[:, 0] > 0).all():
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    _save(axes, path)


def _axes(x_label: str, y_label: str) -> "Axes":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 4.6), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return axes


def _save(axes: "Axes", path: Path) -> None:
    axes.legend(frameon=False)
    figure = axes.get_figure()
    assert figure is not None
    replace_file(path, lambda stream: figure.savefig(stream, format="png"))  # type: ignore[union-attr]  # not a part
