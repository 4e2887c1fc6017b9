"""Corrections of a champion's log odds by rewards: how far they go, and that the graph agrees with the map."""

from dataclasses import replace

import numpy as np
import pytest
from checkout import SHIPPED_BUNDLE
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from router.log_odds import sigmoid
from training.retrain.champion import read_champion
from training.retrain.correction import Judged, LogitMap, LogitSpace, fit_logit_map
from training.retrain.evidence_table import CALIBRATE, TEST, TRAIN, Evidence, split_conversations
from training.retrain.folding import fold_length_lines, fold_logit_map
from training.retrain.fused_network import run_heads
from training.retrain.learning import choose_step
from training.retrain.settings import RetrainSettings

N_MODELS = 5


def space_of_five(random: np.random.Generator) -> tuple[LogitSpace, np.ndarray]:
    difficulty = random.normal(0, 1, (2_000, 1))
    logits = np.linspace(-1, 2, N_MODELS) - difficulty + random.normal(0, 0.3, (2_000, N_MODELS))
    return LogitSpace.of(logits), logits


def judged(
    logits: np.ndarray, shift: np.ndarray, n: int, random: np.random.Generator, new_logit: float | None = None
) -> Judged:
    rows = random.integers(0, len(logits), n)
    model = random.integers(0, N_MODELS + (new_logit is not None), n)
    truth = np.concatenate([logits[rows] + shift, np.full((n, 1), new_logit or 0.0)], axis=1)[np.arange(n), model]
    return Judged(logits[rows], model.astype(np.intp), (random.random(n) < sigmoid(truth)).astype(float), np.ones(n))


def test_without_rewards_nothing_changes() -> None:
    space, logits = space_of_five(np.random.default_rng(0))
    nothing = Judged(np.empty((0, N_MODELS)), np.empty(0, np.intp), np.empty(0), np.empty(0))
    logit_map = fit_logit_map(nothing, space)
    assert np.allclose(logit_map.apply(logits), logits)
    assert not logit_map.information.any()


def test_rewards_that_confirm_the_champion_change_little_and_others_shift_it() -> None:
    random = np.random.default_rng(1)
    space, logits = space_of_five(random)
    confirmed = fit_logit_map(judged(logits, np.zeros(N_MODELS), 2_000, random), space)
    assert np.abs(confirmed.apply(logits) - logits).mean() < 0.12
    shift = np.array([1.0, 0, 0, 0, -1.0])
    moved = fit_logit_map(judged(logits, shift, 4_000, random), space).apply(logits).mean(axis=0) - logits.mean(axis=0)
    assert moved == pytest.approx(shift, abs=0.3)


def test_a_new_model_has_its_noted_ability_until_there_are_rewards() -> None:
    random = np.random.default_rng(2)
    space, logits = space_of_five(random)
    nothing = Judged(np.empty((0, N_MODELS)), np.empty(0, np.intp), np.empty(0), np.empty(0))
    weak, unknown, strong = (
        fit_logit_map(nothing, space, [ability]).apply(logits)[:, -1].mean()
        for ability in ((-2.0, 0.5), None, (3.0, 0.5))
    )
    assert weak == pytest.approx(-2, abs=0.1)
    assert weak < unknown < strong
    rewarded = fit_logit_map(judged(logits, np.zeros(N_MODELS), 3_000, random, new_logit=1.5), space, [(-2.0, 0.5)])
    assert rewarded.apply(logits)[:, -1].mean() == pytest.approx(1.5, abs=0.35)


def test_logits_that_a_log_lacks_follow_from_those_it_has() -> None:
    random = np.random.default_rng(5)
    space, logits = space_of_five(random)
    partly = logits.copy()
    partly[:, 3:] = np.nan
    filled = space.filled(partly)
    assert (filled[:, :3] == logits[:, :3]).all()
    assert np.corrcoef(filled[:, 4], logits[:, 4])[0, 1] > 0.9
    assert np.corrcoef(space.components(filled)[:, 0], space.components(logits)[:, 0])[0, 1] > 0.95
    nothing = np.full((2, N_MODELS), np.nan)
    assert np.allclose(space.filled(nothing), space.centre)


def test_two_maps_in_one_are_one_after_the_other() -> None:
    random = np.random.default_rng(3)
    one, other = (
        LogitMap(random.normal(size=(m, N_MODELS)), random.normal(size=m), np.ones(m), np.ones(m, np.intp))
        for m in (N_MODELS, 7)
    )
    logits = random.normal(size=(20, N_MODELS))
    wide = replace(one, information=np.ones(N_MODELS))
    both = wide.then(replace(other, information=np.ones(N_MODELS), n_rewards=np.ones(N_MODELS, np.intp)))
    assert np.allclose(both.apply(logits), other.apply(one.apply(logits)))


def test_the_graph_with_a_folded_map_agrees_with_the_map() -> None:
    random = np.random.default_rng(4)
    parts = read_champion(SHIPPED_BUNDLE).parts
    m = parts.n_models
    inputs = random.normal(0, 1, (40, len(parts.scaler.mean))).astype(np.float32)
    matrix = np.concatenate([np.eye(m) + random.normal(0, 0.02, (m, m)), random.normal(0, 0.1, (2, m))])
    logit_map = LogitMap(matrix, random.normal(0, 1, m + 2), np.full(m + 2, 10.0), np.ones(m + 2, np.intp))
    slope, offset = random.uniform(0.8, 1.2, m + 2), random.normal(0, 0.2, m + 2)

    before = run_heads(parts, inputs).mean(axis=1).astype(np.float64)
    folded = fold_length_lines(fold_logit_map(parts, logit_map), slope, offset)
    after = run_heads(folded, inputs).mean(axis=1)

    assert after[:, : m + 2] == pytest.approx(logit_map.apply(before[:, :m]), abs=1e-3)
    lengths = np.concatenate(
        [before[:, m : 2 * m], np.repeat(before[:, m : 2 * m].mean(axis=1, keepdims=True), 2, axis=1)], axis=1
    )
    assert after[:, m + 2 : -1] == pytest.approx(lengths * slope + offset, abs=1e-3)
    assert after[:, -1] == pytest.approx(before[:, -1], abs=1e-4)
    assert (folded.intercept_variance[:m] <= parts.intercept_variance + 1e-9).all()


@pytest.mark.slow
@given(hnp.arrays(np.int64, st.integers(1, 60), elements=st.integers(0, 10**6)))
def test_the_latest_conversations_are_the_test_and_those_before_calibrate(first_starts: np.ndarray) -> None:
    split = split_conversations(first_starts, RetrainSettings())
    starts_of = [first_starts[split == part] for part in (TRAIN, CALIBRATE, TEST)]
    for earlier, later in ((0, 1), (1, 2), (0, 2)):
        if len(starts_of[earlier]) and len(starts_of[later]):
            assert starts_of[earlier].max() <= starts_of[later].min()
    assert abs(len(starts_of[2]) - 0.25 * len(first_starts)) <= 1
    seen_until = int(np.median(first_starts))
    judged = first_starts[split_conversations(first_starts, RetrainSettings(), seen_until) == TEST]
    assert (judged > seen_until).all()
    assert len(judged) == min(len(starts_of[2]), (first_starts > seen_until).sum())


def test_rare_and_exact_rewards_count_for_more() -> None:
    nothing = np.empty(0)
    evidence = Evidence(
        split=np.zeros(4, np.intp),
        request=np.arange(4),
        account=np.full(4, "default"),
        router_version=np.full(4, "base"),
        conversation=np.arange(4, dtype=np.uint64),
        asked_at=np.zeros(4, np.int64),
        lane=np.zeros(4, np.intp),
        model=np.array([0, 0, 1, 1]),
        believed=np.full(4, 0.5),
        reward=np.ones(4),
        reward_std=np.array([0, 0, 0, 0.5]),
        propensity=np.array([0.5, 0.01, 0.3, 0.3]),
        logits=np.zeros((4, 2), np.float16),
        text_row=np.full(4, -1),
        inputs=np.empty((0, 3), np.float16),
        length_split=np.empty(0, np.intp),
        length_model=np.empty(0, np.intp),
        length_is_logged=np.empty(0, np.bool_),
        believed_tokens=nothing,
        answer_tokens=nothing,
        n_unusable=0,
        test_conversations=np.empty(0, np.uint64),
        test_since=0,
        n_requests=4,
        first_at=0,
        last_at=0,
    )
    weights = evidence.weights(np.arange(4), RetrainSettings())
    assert weights[1] / weights[0] == pytest.approx(2.5)  # 1 / 0.01 is cut at 5, against 1 / 0.5
    assert weights[:2].sum() == pytest.approx((1 + 2.5) ** 2 / (1 + 2.5**2))  # as many equal answers tell as much
    assert weights[2:] == pytest.approx([1, 0.5])
    day_us = 86_400_000_000
    older = replace(evidence, asked_at=np.array([10, 10, 3, 10]) * day_us, last_at=10 * day_us)
    assert older.weights(np.arange(4), RetrainSettings(half_life_days=7)) / weights == pytest.approx([1, 1, 0.5, 1])
    assert older.weights(np.arange(4), RetrainSettings(half_life_days=0)) / weights == pytest.approx([1, 1, 1, 1])


def test_a_step_without_gain_is_taken_no_more_often_if_conversations_are_long() -> None:
    random, taken = np.random.default_rng(3), 0
    for _ in range(400):
        conversation = np.repeat(np.arange(60, dtype=np.uint64), 8)
        chance = sigmoid(np.repeat(random.normal(0, 1.5, 60), 8))  # the answers of a conversation are alike
        reward = (random.random(480) < chance).astype(float)
        after = np.full(480, 0.05 * random.choice([-1, 1]))
        taken += choose_step("none", np.zeros(480), after, reward, conversation).is_taken
    assert 0.1 < taken / 400 < 0.21  # one standard error: 16%


def test_too_few_conversations_choose_no_step() -> None:
    choice = choose_step(
        "none", np.zeros(900), np.ones(900), np.ones(900), np.repeat(np.arange(9, dtype=np.uint64), 100)
    )
    assert not choice.is_taken
