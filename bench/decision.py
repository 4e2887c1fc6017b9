"""Times the decision alone: the quality model reads a prompt, then 20 lanes are filtered, ranked and drawn.

There is no server, and one thread. Run `python -m bench.decision [--json] [--bundle DIR]`; on a shared machine pin it
to a core with taskset. `--lanes 1000` gives the account more lanes: the further ones answer only requests that name
them, as most models of a large provider do. `--choosable 1000` lets the policy choose from as many.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from decimal import Decimal
from time import perf_counter_ns

import numpy as np

from bench.prompts import prompt
from router.account_correction import LaneCoefficients, PromptSpace
from router.bundle import Bundle, load_bundle
from router.context import NO_CONSTRAINTS, NO_PREFERENCES, RouteContext
from router.decision import decide
from router.expectation import LaneState
from router.features import extract_features
from router.lane import Lane, QualityPrior
from router.lane_table import LaneTable
from router.onnx_quality_model import OnnxQualityModel
from router.policies.best_value import BestValue
from router.price_table import Price
from router.quality_model import Prediction, QualityModel
from router.tokenizer import WordPieceTokenizer
from serve.bundles.choice import bundle_folder

N_LANES = 20
N_PRIOR_LANES = 5
PROMPT_WORDS = (16, 300)
_N_PROMPTS = 256
_PRICED_ON = date(2026, 11, 1)


@dataclass(frozen=True, slots=True)
class Timing:
    """The time of one step.

    Args:
        step: Name of the step.
        words: Length of the prompts, in words.
        p50_us, p99_us: Percentiles of the time, microseconds.
    """

    step: str
    words: int
    p50_us: float
    p99_us: float


def time_decision(
    calls: int = 4_000, folder: str = "", n_lanes: int = N_LANES, n_choosable: int = N_LANES
) -> list[Timing]:
    """Time the decision and its parts for each length of prompt, on `_N_PROMPTS` different prompts in turn.

    Args:
        calls: Number of calls of each step.
        folder: Folder of the bundle; empty: the shipped one.
        n_lanes: Number of the account's lanes.
        n_choosable: Number of those that the policy may choose.
    """
    bundle = load_bundle(bundle_folder(folder))
    quality_model = OnnxQualityModel(bundle)
    tokenizer = WordPieceTokenizer.from_file(bundle.tokenizer_path)
    rng = np.random.default_rng(0)
    space = PromptSpace.of(bundle.read_reference())
    coefficients = LaneCoefficients(space, rng.normal(0, 0.2, (n_lanes, space.directions.shape[1] + 1)))
    timings = []
    for words in PROMPT_WORDS:
        contexts = [RouteContext.from_prompt(prompt(number, words)) for number in range(_N_PROMPTS)]
        steps = _steps(bundle, quality_model, tokenizer, contexts, coefficients, (n_lanes, n_choosable))
        timings += [_time(step, words, run, contexts, calls) for step, run in steps.items()]
    return timings


def _steps(
    bundle: Bundle,
    quality_model: QualityModel,
    tokenizer: WordPieceTokenizer,
    contexts: Sequence[RouteContext],
    coefficients: LaneCoefficients,
    sizes: tuple[int, int],
) -> dict[str, Callable[[RouteContext], object]]:
    decide_on, decide_shifted = _decision(bundle, sizes), _decision(bundle, sizes, is_shifted=True)
    decide_both = _decision(bundle, sizes, is_both=True)
    predictions = {id(context): quality_model.predict(context) for context in contexts}
    steps: dict[str, Callable[[RouteContext], object]] = {
        "whole decision": lambda context: decide_on(context, quality_model.predict(context)),
        "predict": quality_model.predict,
        "of it, features": extract_features,
        "of it, tokenizing": lambda context: tokenizer.encode(context.text),
        "decide": lambda context: decide_on(context, predictions[id(context)]),
        "account's shift": lambda context: coefficients.shift(predictions[id(context)].quality),
        "decide, shifted": lambda context: decide_shifted(context, predictions[id(context)]),
    }
    if bundle.catalogue is not None:  # lanes that are reference models as well, so that both beliefs are mixed
        steps["whole, both"] = lambda context: decide_both(context, quality_model.predict(context))
    return steps


def _decision(
    bundle: Bundle, sizes: tuple[int, int], *, is_shifted: bool = False, is_both: bool = False
) -> Callable[[RouteContext, Prediction], object]:
    n_lanes, n_choosable = sizes
    everything = LaneTable.build(_lanes(bundle, n_lanes, is_both=is_both), bundle.trained_names, bundle.catalogue)
    table = everything.first(n_choosable, bundle.trained_names, bundle.catalogue)
    state, policy, rng = LaneState.unmeasured(everything), BestValue(), np.random.default_rng(0)
    if is_shifted:
        state = replace(state, quality_shift=np.linspace(-1, 1, n_lanes))
    return lambda context, prediction: decide(
        table, context, prediction, state.of_first(n_choosable), policy, rng, NO_CONSTRAINTS, NO_PREFERENCES
    )


def _lanes(bundle: Bundle, n_lanes: int, *, is_both: bool = False) -> list[Lane]:
    """Return lanes at different prices; of each 20, the last few are models that the bundle does not know.

    The others are reference models; if the bundle has catalogue models, these instead, and both with `is_both`.
    """
    listed = () if bundle.catalogue is None else bundle.catalogue.names
    lanes = []
    for number in range(n_lanes):
        is_known = number % N_LANES < N_LANES - N_PRIOR_LANES
        is_trained = is_known and (not listed or is_both)
        rate = Decimal(2 ** (number % N_LANES)) / 10_000 + Decimal(number // N_LANES) / 1_000_000
        lane = Lane(
            lane_id=f"provider-{number % 5}/model-{number}",
            provider=f"provider-{number % 5}",
            upstream_model=f"model-{number}",
            vendor_model=listed[number] if is_known and number < len(listed) else f"vendor/model-{number}",
            account="default",
            price=Price(rate, 4 * rate, "made up", _PRICED_ON),
            context_tokens=128_000,
            trained_name=bundle.trained_names[number % len(bundle.trained_names)] if is_trained else None,
            prior=None if is_known else QualityPrior(0.2 * (number % N_LANES), 1.0, "made up"),
        )
        lanes.append(lane)
    return lanes


def _time(
    step: str, words: int, run: Callable[[RouteContext], object], contexts: Sequence[RouteContext], calls: int
) -> Timing:
    for context in contexts:
        run(context)
    took_ns = np.empty(calls)
    for number in range(calls):
        context = contexts[number % len(contexts)]
        started = perf_counter_ns()
        run(context)
        took_ns[number] = perf_counter_ns() - started
    p50_us, p99_us = np.percentile(took_ns, (50, 99)) / 1_000
    return Timing(step, words, float(p50_us), float(p99_us))


def main() -> None:
    """Print the timings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument("--bundle", default="", help="folder of a bundle (default: the shipped one)")
    parser.add_argument("--lanes", type=int, default=N_LANES, help="lanes of the account")
    parser.add_argument("--choosable", type=int, default=N_LANES, help="lanes that the policy may choose")
    arguments = parser.parse_args()
    timings = time_decision(
        folder=arguments.bundle, n_lanes=arguments.lanes, n_choosable=min(arguments.choosable, arguments.lanes)
    )
    if arguments.json:
        print(json.dumps([asdict(timing) for timing in timings]))
        return
    for timing in timings:
        print(f"{timing.words:4} words  {timing.step:18} p50 {timing.p50_us:7.1f} µs  p99 {timing.p99_us:7.1f} µs")


if __name__ == "__main__":
    main()
