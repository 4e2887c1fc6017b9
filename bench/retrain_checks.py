"""Measures what a retraining does to a champion that is right, by default checks and a few thumbs.

Run `python -m bench.retrain_checks [--requests 20000] [--thumbs 0.05 0.3] [--seeds 3]`. The logs are invented:

- Eight models of the shipped bundle answer, each with exactly the chance that the bundle predicts.
- A share of the answers gets a thumb, and one thumb in nine is wrong.
- Every answer is checked for a refusal, which is found in 1% of the good answers and in 5% of the bad ones.

The whole job runs on them, without texts. A retraining that takes a check without a finding for a measurement of
quality believes about the same of all models afterwards.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.logged_traffic import LoggedTraffic, write_export
from router.arrays import Floats
from router.context import RouteContext
from router.features import extract_features
from router.recent_shifts import RECENT_SHIFTS_FILE, RecentShifts
from serve.bundles.choice import bundle_folder
from training.retrain.champion import Champion, read_champion
from training.retrain.job import RetrainPlan, retrain

N_LANES = 8
_WRONG_THUMBS = 0.11
_REFUSALS_OF_GOOD, _REFUSALS_OF_BAD = 0.01, 0.05
_START_US = 1_780_000_000_000_000
_STEP_US = 43_200_000  # 2,000 requests a day


def make_export(champion: Champion, folder: Path, n: int, thumbs: float, has_checks: bool, seed: int) -> Path:
    """Write the export; return its folder.

    Args:
        champion: Bundle that decides and is right.
        folder: Folder to write to.
        n: Number of requests.
        thumbs: Share of the answers with a thumb.
        has_checks: Whether every answer is checked.
        seed: Seed of all random draws.
    """
    random, rows, columns = np.random.default_rng(seed), np.arange(n), columns_of(champion)
    features = extract_features(RouteContext.from_prompt("What is 2 + 2?"))
    drawn = random.integers(0, len(champion.reference.quality), n)
    quality, tokens = (
        values[drawn][:, columns].astype(np.float64)
        for values in (champion.reference.quality, champion.reference.completion_tokens)
    )
    chosen = random.integers(0, N_LANES, n)
    is_good = random.random(n) < quality[rows, chosen]
    is_up = is_good != (random.random(n) < _WRONG_THUMBS)
    is_refusal = random.random(n) < np.where(is_good, _REFUSALS_OF_GOOD, _REFUSALS_OF_BAD)
    traffic = LoggedTraffic(
        names=tuple(champion.trained_names[column] for column in columns),
        router_version=champion.bundle.version,
        started_at=_START_US + rows.astype(np.int64) * _STEP_US,
        conversation=rows // 2,
        prompts=[None] * n,
        features=np.repeat(features, n, axis=0),
        prompt_tokens=np.full(n, 100),
        quality=quality.astype(np.float32),
        completion_tokens=tokens.astype(np.float32),
        cost_usd=np.full((n, N_LANES), 1e-3),
        probability=np.full((n, N_LANES), 1 / N_LANES),
        chosen=chosen,
        reward=np.where(random.random(n) < thumbs, is_up.astype(np.float64), np.nan),
        answer_tokens=tokens[rows, chosen],
        paid_usd=np.full(n, 1e-3),
        metric="thumbs",
        checks={"refusal": is_refusal.astype(np.float64)} if has_checks else {},
    )
    return write_export(folder, iter([traffic]))


def columns_of(champion: Champion) -> list[int]:
    """Return columns of models from the weakest to the strongest, at even distances."""
    order = np.argsort(champion.reference.quality.mean(axis=0), kind="stable")
    return [int(order[place]) for place in np.linspace(0, len(order) - 1, N_LANES).astype(int)]


def measure(champion: Champion, bundle: Path) -> tuple[Floats, float, float]:
    """Return (mean P(good) of each model, deviation of P(good) over prompts and models, largest recent shift)."""
    challenger = read_champion(bundle)
    columns = [challenger.trained_names.index(champion.trained_names[column]) for column in columns_of(champion)]
    quality = challenger.reference.quality[:, columns]
    shifts = [0.0]
    if (bundle / RECENT_SHIFTS_FILE).is_file():
        correction = RecentShifts.read(bundle / RECENT_SHIFTS_FILE).correction
        names = [champion.trained_names[column] for column in columns_of(champion)]
        shifts += [abs(correction.shift_of(f"acme/{name}", name)[0]) for name in names]
    return quality.mean(axis=0), float(quality.std()), max(shifts)


class _Silent:
    @contextmanager
    def stage(self, title: str, total: float | None) -> Iterator[Callable[[float], None]]:
        yield lambda amount: None


def main() -> None:
    """Print a line for the champion and one for each kind of logs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--thumbs", type=float, nargs="+", default=[0.05, 0.3], help="share of answers with a thumb")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    champion = read_champion(bundle_folder(""))
    before, spread, _ = measure(champion, champion.bundle.folder)
    print("thumbs  checks  seed  step taken  spread  of champion's  largest recent shift  mean P(good), weakest first")
    print(f"{'champion':26s}  {spread:6.3f}  {1:13.1%}  {'':20s}  {' '.join(f'{value:.2f}' for value in before)}")
    for thumbs in options.thumbs:
        for has_checks in (False, True):
            for seed in range(options.seeds):
                with tempfile.TemporaryDirectory() as scratch:
                    folder = Path(scratch)
                    logs = make_export(champion, folder / "logs", options.requests, thumbs, has_checks, seed)
                    result = retrain(RetrainPlan(logs, champion.bundle.folder, folder / "bundles"), _Silent())
                    means, after, largest = measure(champion, result.bundle)
                    steps = read_champion(result.bundle).manifest["learned_from_logs"]["steps"]
                taken = ", ".join(step["step"] for step in steps if step["is_taken"]) or "none"
                print(
                    f"{thumbs:6.0%}  {'yes' if has_checks else 'no':6s}  {seed:4d}  {taken:10s}  {after:6.3f}  "
                    f"{after / spread:13.1%}  {largest:20.2f}  {' '.join(f'{value:.2f}' for value in means)}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
