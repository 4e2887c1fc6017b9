"""Makes the sample export in `data/samples/telemetry`: an invented small week for notebooks and examples.

Run `python -m bench.sample_telemetry data/samples/telemetry`; the same code gives the same rows. The prompts are those
of `data/calibration`, and the beliefs are the shipped bundle's. The outcomes are drawn here: answers of `sandbox/large`
are worse than the bundle believes. The bundle was never trained on `sandbox/mini`; its answers are better than its
prior.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np

from router.bundle import load_bundle
from router.context import NO_CONSTRAINTS, Preferences, RouteContext
from router.decision import Decision, decide
from router.expectation import LaneState
from router.features import FEATURES_VERSION
from router.lane import Lane, QualityPrior
from router.lane_table import LaneTable
from router.onnx_quality_model import OnnxQualityModel
from router.policies.base import Candidates, Ranking
from router.policies.best_value import BestValue
from router.price_table import PriceTable, TokenUsage, quote_cost
from router.quality_model import Prediction
from router.telemetry_schema import AttemptRow, FeedbackRow, Outcome
from router.utility import utility_usd
from serve.bundles.choice import bundle_folder
from serve.packaged_files import data_dir
from serve.sandbox.lanes import sandbox_lanes
from serve.storage.database import open_database
from serve.telemetry.attempt_recorder import candidate_table
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.export.export import export_telemetry
from serve.telemetry.export.files import ExportSummary
from serve.telemetry.feedback_repository import FeedbackRepository
from serve.telemetry.lane_log import lane_row
from serve.telemetry.priced_lane_repository import PricedLaneRepository

N_REQUESTS: Final = 360
BEGAN: Final = datetime(2026, 11, 2, tzinfo=UTC)
ENDED: Final = BEGAN + timedelta(days=7)
_WORTH_USD: Final = 0.01
_TRUE_SHIFT: Final = {"sandbox/large": -0.8, "sandbox/mini": 1.0}  # in log odds, compared with the belief


@dataclass(frozen=True, slots=True)
class Softmax:
    """Draws each lane with a probability that grows with its utility.

    Args:
        temperature_usd: Difference in utility that makes a lane e times as likely, USD.
    """

    temperature_usd: float
    name: str = "softmax"

    def rank(self, candidates: Candidates) -> Ranking:
        """Rank as `best_value` does, and give every eligible lane a chance."""
        ranking = BestValue(_WORTH_USD).rank(candidates)
        wish = candidates.preferences.willingness_to_pay_usd or _WORTH_USD
        utility = utility_usd(candidates.expectation, wish)
        weights = np.where(candidates.is_eligible, np.exp((utility - utility.max()) / self.temperature_usd), 0.0)
        return replace(ranking, probabilities=weights / weights.sum())


def sample_lanes() -> tuple[Lane, ...]:
    """Return the sandbox's lanes and two more; the bundle knows one of these."""
    small, medium, large, reasoning = sandbox_lanes()
    return (
        small,
        medium,
        large,
        reasoning,
        _like(medium, "middle", "llama-3.1-70b-instruct", Decimal("0.6"), Decimal("0.8")),
        replace(
            _like(small, "mini", None, Decimal("0.03"), Decimal("0.06")),
            prior=QualityPrior(-0.5, 0.8, "invented for the sample, 2026-11-02"),
        ),
    )


def _like(lane: Lane, name: str, trained_name: str | None, input_rate: Decimal, output_rate: Decimal) -> Lane:
    price = replace(
        lane.price, input_usd_per_mtok=input_rate, output_usd_per_mtok=output_rate, source="invented for the sample"
    )
    names = {"lane_id": f"sandbox/{name}", "upstream_model": name, "vendor_model": f"sandbox/{name}"}
    return replace(lane, **names, trained_name=trained_name, price=price)  # type: ignore[arg-type]


def write_sample(out: Path) -> ExportSummary:
    """Write the sample to `out`: a new folder, an empty one, or an earlier sample."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_database(str(Path(folder) / "sample.db"))
        try:
            week = Week()
            attempts, feedback = week.rows()
            AttemptRepository(engine).insert_many(attempts)
            FeedbackRepository(engine).insert_many(feedback)
            snapshot = week.price_snapshot_id
            PricedLaneRepository(engine).put([lane_row(lane, snapshot, BEGAN) for lane in week.table.lanes])
            return export_telemetry(engine, BEGAN, ENDED + timedelta(days=2), out)
        finally:
            engine.dispose()


class Week:
    """An invented week of one gateway."""

    def __init__(self) -> None:
        bundle = load_bundle(bundle_folder(""))
        self._quality_model = OnnxQualityModel(bundle)
        lanes = sample_lanes()
        self.table = LaneTable.build(lanes, bundle.trained_names, bundle.catalogue)
        prices = PriceTable.from_rows((lane.provider, lane.upstream_model, lane.price) for lane in lanes)
        self.price_snapshot_id = prices.snapshot_id
        self._state = LaneState.unmeasured(self.table)
        self._rng = np.random.default_rng(2026)

    def rows(self) -> tuple[list[AttemptRow], list[FeedbackRow]]:
        """Return the rows that the gateway would have logged."""
        prompts = _prompts()
        chosen = self._rng.permutation(len(prompts))[:N_REQUESTS]
        started = np.sort(self._rng.random(N_REQUESTS)) * (ENDED - BEGAN).total_seconds()
        attempts: list[AttemptRow] = []
        feedback: list[FeedbackRow] = []
        for number, (prompt, start_s) in enumerate(zip(chosen.tolist(), started.tolist(), strict=True)):
            began = BEGAN + timedelta(microseconds=round(start_s * 1e6))
            rows = self._attempts(number, prompts[prompt], began)
            attempts.extend(rows)
            if rows[-1].propensity is not None:  # after a fallback, feedback would not judge the drawn lane
                feedback.extend(self._feedback(rows[-1]))
        return attempts, feedback

    def _attempts(self, number: int, prompt: str, began: datetime) -> list[AttemptRow]:
        wish = float(self._rng.choice([0.002, 0.01, 0.05]))
        context = RouteContext.from_prompt(prompt)
        prediction = self._quality_model.predict(context)
        preferences = Preferences(willingness_to_pay_usd=wish)
        policy = Softmax(0.002 * wish / _WORTH_USD)
        decision = decide(self.table, context, prediction, self._state, policy, self._rng, NO_CONSTRAINTS, preferences)
        asked = _Asked(number, prompt, began, context, prediction, decision, wish)
        if self._rng.random() < 0.03:
            return [self._row(asked, 0, "upstream_error"), self._row(asked, 1, "ok")]
        return [self._row(asked, 0, "ok")]

    def _row(self, asked: "_Asked", attempt: int, outcome: Outcome) -> AttemptRow:
        decision, is_answered = asked.decision, outcome == "ok"
        row = decision.order[attempt]
        lane = self.table.lanes[row]
        expected = decision.expectation
        tokens = max(round(float(expected.completion_tokens[row]) * float(self._rng.lognormal(0, 0.4))), 1)
        usage = TokenUsage(asked.context.prompt_tokens, tokens)
        latency_ms = float(expected.latency_ms[row]) * float(self._rng.lognormal(0, 0.3))
        return AttemptRow(
            request_id=f"req_{asked.number:024x}",
            attempt=attempt,
            started_at=asked.began,
            account="default",
            virtual_key_id=("app", "batch")[asked.number % 2],
            conversation_id=f"{asked.number // 2:024x}",
            endpoint="/v1/chat/completions",
            is_streaming=asked.number % 2 == 0,
            features=asked.prediction.features,
            features_version=FEATURES_VERSION,
            prompt_text=asked.prompt,
            prompt_characters=asked.context.prompt_characters,
            n_turns=1,
            candidates=candidate_table(decision),
            lane_id=lane.lane_id,
            provider=lane.provider,
            upstream_model=lane.upstream_model,
            vendor_model=lane.vendor_model,
            propensity=decision.propensity if attempt == 0 else None,
            reason=decision.reason.value if attempt == 0 else "fallback_error",
            policy=decision.policy_name,
            router_version=self._quality_model.version,
            price_snapshot_id=self.price_snapshot_id,
            willingness_to_pay_usd=asked.wish_usd,
            prompt_tokens=usage.prompt_tokens if is_answered else None,
            completion_tokens=tokens if is_answered else None,
            cost_nusd=quote_cost(lane.price, usage).total_nusd if is_answered else 0,
            ttft_ms=latency_ms / 3 if is_answered else None,
            total_ms=latency_ms,
            status=200 if is_answered else 500,
            outcome=outcome,
            finish_reason="stop" if is_answered else None,
        )

    def _feedback(self, row: AttemptRow) -> Iterator[FeedbackRow]:
        """Yield the feedback on an answer: two in five get none but a check, some get it late, some get it twice."""
        assert row.candidates is not None
        believed = float(row.candidates.quality[row.candidates.lane_ids.index(row.lane_id)])
        log_odds = np.log(believed / (1 - believed)) + _TRUE_SHIFT.get(row.lane_id, 0.0)
        is_good = self._rng.random() < 1 / (1 + np.exp(-log_odds))
        judged_at = row.started_at + timedelta(minutes=float(self._rng.exponential(20)))
        if self._rng.random() < 0.15:
            yield FeedbackRow(
                request_id=row.request_id,
                metric_name="refusal",
                value=0.0,
                given_by="check",
                received_at=row.started_at,
            )
        mood = self._rng.random()
        late = timedelta(days=1) if self._rng.random() < 0.1 else timedelta(0)
        if mood < 0.4:
            if self._rng.random() < 0.1:  # the user first judged the opposite
                yield _feedback_row(row, "thumbs", float(not is_good), judged_at)
            yield _feedback_row(row, "thumbs", float(is_good), judged_at + late + timedelta(seconds=30))
        elif mood < 0.6:
            score = float(np.clip(self._rng.normal(0.85 if is_good else 0.2, 0.15), 0, 1))
            yield _feedback_row(row, "score", round(score, 2), judged_at + late)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request and the decision on it."""

    number: int
    prompt: str
    began: datetime
    context: RouteContext
    prediction: Prediction
    decision: Decision
    wish_usd: float


def _feedback_row(row: AttemptRow, metric_name: str, value: float, at: datetime) -> FeedbackRow:
    return FeedbackRow(
        request_id=row.request_id,
        metric_name=metric_name,
        value=value,
        given_by=str(row.virtual_key_id),
        received_at=at,
    )


def _prompts() -> list[str]:
    lines = (data_dir() / "calibration" / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [str(json.loads(line)["prompt"]) for line in lines]


def main() -> None:
    """Write the sample and print its size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    summary = write_sample(parser.parse_args().out)
    size_kb = sum(file.size_bytes for file in summary.files) / 1e3
    print(f"{summary.attempt_rows} attempts, {summary.feedback_rows} pieces of feedback, {size_kb:.0f} kB")


if __name__ == "__main__":
    main()
