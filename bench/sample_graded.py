"""Makes the graded corpus in `data/samples/graded`: a small corpus to train and to look at, made from this repository.

Run `python -m bench.sample_graded data/samples/graded`. It needs the extra packages `train` and `local` and takes about
20 minutes on two cores. `--redraw` keeps the measured part and draws the rest again, in a second: after a new bundle
was shipped. The prompts are the first questions of `data/calibration`.

- Measured: the answers of the two local models, and their grades. Each answer is at most 64 tokens long.
- Drawn: the grades and lengths of the sandbox's four lanes. The sandbox's texts are filler and cannot be graded. A draw
  follows what the shipped bundle believes of the model that the lane stands for.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx
import msgspec
import numpy as np
import pandas as pd

from router.bundle import load_bundle
from router.context import RouteContext
from router.onnx_quality_model import OnnxQualityModel
from serve.bundles.choice import bundle_folder
from serve.jobs.calibrate.grading import is_right
from serve.jobs.calibrate.questions import Question, load_questions
from serve.jobs.local_models.model_files import LOCAL_MODELS
from serve.jobs.local_models.processes import LocalModelProcess
from serve.packaged_files import data_dir
from serve.sandbox.lanes import sandbox_lanes
from training.corpus.graded_corpus import PRICES_FILE

SOURCE: Final = "llmdeal_questions"
SEED: Final = 2026
MAX_TOKENS: Final = 64
LENGTH_SPREAD: Final = 0.4
"""Standard deviation of the logarithm of a drawn answer's length, around the length that the bundle expects."""
_ANSWER_WITHIN_S: Final = 120.0
_N_QUESTIONS: Final = 380


class _Message(msgspec.Struct):
    content: str


class _Choice(msgspec.Struct):
    message: _Message


class _Usage(msgspec.Struct):
    completion_tokens: int


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage


def questions() -> list[Question]:
    """Return the prompts of the sample: the question bank without its everyday kinds, which are younger."""
    return load_questions(data_dir() / "calibration" / "questions.jsonl")[:_N_QUESTIONS]


def prompt_table(asked: Sequence[Question]) -> pd.DataFrame:
    """Return `prompts.parquet`: one row per question; its kind is its task."""
    return pd.DataFrame(
        {
            "source": SOURCE,
            "prompt_id": [question.id for question in asked],
            "task": [question.kind for question in asked],
            "prompt": [question.prompt for question in asked],
        }
    )


def measured_responses(asked: Sequence[Question]) -> pd.DataFrame:
    """Ask both local models every question, one after the other, and return their graded answers.

    Raises:
        serve.errors.ConfigurationError: A package with the weights is missing, or a server did not start.
    """
    rows = []
    for local_model in LOCAL_MODELS:
        with LocalModelProcess.start(local_model) as process, httpx.Client(timeout=_ANSWER_WITHIN_S) as client:
            for question in asked:
                body = {
                    "model": local_model.name,
                    "messages": [{"role": "user", "content": question.prompt}],
                    "max_tokens": MAX_TOKENS,
                    "temperature": 0,
                    "seed": SEED,
                    "cache_prompt": False,  # an answer must not depend on the question before it
                }
                response = client.post(f"{process.url}/v1/chat/completions", json=body).raise_for_status()
                completion = msgspec.json.decode(response.content, type=_Completion)
                answer = completion.choices[0].message.content
                score = float(is_right(answer, question.answer, question.grader))
                rows.append((question.id, local_model.vendor_model, score, completion.usage.completion_tokens, answer))
        print(f"{local_model.vendor_model}: {len(asked)} answers")
    return _response_table(rows)


def drawn_responses(asked: Sequence[Question]) -> pd.DataFrame:
    """Draw a grade and a length for every sandbox lane and question; the same seed and bundle give the same rows."""
    quality_model = OnnxQualityModel(load_bundle(bundle_folder("")))
    lanes = sandbox_lanes()
    columns = [quality_model.trained_names.index(lane.trained_name) for lane in lanes if lane.trained_name]
    random = np.random.default_rng(SEED)
    rows = []
    for question in asked:
        prediction = quality_model.predict(RouteContext.from_prompt(question.prompt))
        is_good = random.random(len(lanes)) < prediction.quality[columns]
        tokens = prediction.completion_tokens[columns] * random.lognormal(0, LENGTH_SPREAD, len(lanes))
        for lane, good, length in zip(lanes, is_good.tolist(), tokens.tolist(), strict=True):
            rows.append((question.id, lane.vendor_model, float(good), max(round(length), 1), None))
    return _response_table(rows)


def price_table() -> pd.DataFrame:
    """Return `prices.csv`: the invented prices of the sandbox, and the nominal ones of the local models."""
    rows = [(model.vendor_model, model.usd_per_mtok, model.usd_per_mtok) for model in LOCAL_MODELS]
    rows += [
        (lane.vendor_model, str(lane.price.input_usd_per_mtok), str(lane.price.output_usd_per_mtok))
        for lane in sandbox_lanes()
    ]
    return pd.DataFrame(rows, columns=["model", "input_usd_per_mtok", "output_usd_per_mtok"])


def _response_table(rows: Sequence[tuple[str, str, float, int, str | None]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["prompt_id", "model", "score", "completion_tokens", "answer"])
    table.insert(0, "source", SOURCE)
    return table.astype({"completion_tokens": "float64"})


def write_sample(out: Path, *, redraw: bool = False) -> None:
    """Write the corpus to `out`; with `redraw`, with the measured answers that are there."""
    asked = questions()
    out.mkdir(parents=True, exist_ok=True)
    if redraw:
        there = pd.read_parquet(out / "responses.parquet")
        measured = there[there["model"].isin([model.vendor_model for model in LOCAL_MODELS])]
    else:
        measured = measured_responses(asked)
    responses = pd.concat([measured, drawn_responses(asked)], ignore_index=True)
    prompt_table(asked).to_parquet(out / "prompts.parquet", index=False, compression="zstd")
    responses.to_parquet(out / "responses.parquet", index=False, compression="zstd")
    price_table().to_csv(out / PRICES_FILE, index=False)


def main() -> None:
    """Write the sample and print its size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--redraw", action="store_true", help="keep the measured answers, draw the others again")
    arguments = parser.parse_args()
    out = arguments.out
    write_sample(out, redraw=arguments.redraw)
    print(f"{sum(path.stat().st_size for path in out.iterdir()) / 1e3:.0f} kB in {out}")


if __name__ == "__main__":
    main()
