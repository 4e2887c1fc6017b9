"""The catalogue models of a bundle: read or refused, and the beliefs about lanes that follow from their rows."""

import gc
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from any_lane import LANE
from fakes.catalogue import Row, catalogue_of
from fakes.derived_bundle import DEMAND_NAMES, derive_bundle
from hypothesis import given
from hypothesis import strategies as st

from router.arrays import Float32s
from router.bundle import load_bundle
from router.catalogue_models import CATALOGUE_FILE, CatalogueModels, general_of
from router.context import RouteContext
from router.errors import BundleError
from router.expectation import LaneState, believe_of_lanes, believe_of_prediction, expect_outcomes
from router.lane import Capability, Lane, QualityPrior
from router.lane_table import LaneTable
from router.onnx_quality_model import OnnxQualityModel
from router.placement import Placement
from router.quality_basis import describe_basis, how_to_sharpen
from router.quality_model import Prediction

TRAINED = ("alpha", "beta")
ROWS = (Row("acme/one", 2.0, 0.5, 100, 2_000), Row("acme/two", -1.0, 1.0, 300, 0.1, "published_scores", 6))
CATALOGUE = catalogue_of(ROWS, abilities={"alpha": 3.5, "beta": 0.2})
SIGMA = 0.5


def lane(vendor_model: str, trained_name: str | None = None, prior: QualityPrior | None = None) -> Lane:
    return replace(LANE, lane_id=f"p/{vendor_model}", vendor_model=vendor_model, trained_name=trained_name, prior=prior)


def prediction(share: float = 0.0, quality: float = 0.7, difficulty: float = 0.0) -> Prediction:
    demand = np.array([share, 0, 1 - share, 0, 1], np.float32)
    level = np.array([quality, 0.2], np.float32)
    spread = np.array([0.05, 0.02], np.float32)
    lengths = np.array([150, 90], np.float32)
    return Prediction(level, spread, lengths, difficulty, 120.0, np.zeros(1, np.float32), demand)


def chance_of(log_odds: float, std: float) -> float:
    return float(1 / (1 + np.exp(-log_odds / np.sqrt(1 + np.pi / 8 * std**2))))


def test_a_lane_is_believed_by_its_row() -> None:
    table = LaneTable.build([lane("acme/one"), lane("acme/two")], TRAINED, CATALOGUE)
    beliefs = believe_of_prediction(table, prediction(share=0.9))
    assert beliefs.quality == pytest.approx([chance_of(2, 0.5), chance_of(-1, 1)])
    assert beliefs.quality_std == pytest.approx(beliefs.quality * (1 - beliefs.quality) * [0.5, 1.0])
    mean = np.exp(SIGMA**2 / 2)
    assert beliefs.reasoning_tokens == pytest.approx([2_000 * mean, 0.1 * mean])
    assert beliefs.completion_tokens == pytest.approx([2_100 * mean, 300.1 * mean])
    expected = expect_outcomes(table, prediction(), RouteContext("x", 1, 10), LaneState.unmeasured(table))
    assert expected.high_tokens == pytest.approx(np.array([2_100, 300.1]) * np.exp(1.645 * SIGMA))


def test_bounds_keep_absurd_rows_harmless() -> None:
    absurd = catalogue_of([Row("acme/one", 1e6, 50, 1e12, 1e12), Row("acme/two", -1e6, 0, 0.01, 1e-9)])
    table = LaneTable.build([lane("acme/one"), lane("acme/two")], TRAINED, absurd)
    beliefs = believe_of_prediction(table, prediction())
    assert ((beliefs.quality >= 0) & (beliefs.quality <= 1)).all()
    assert np.isfinite([beliefs.quality_std, beliefs.completion_tokens, beliefs.reasoning_tokens]).all()
    assert beliefs.completion_tokens[0] == pytest.approx(2 * np.exp(11.5 + SIGMA**2 / 2))


@pytest.mark.parametrize("quality", [0.0, 0.004, 0.7, 1.0])
def test_a_lane_that_is_a_reference_model_too_is_believed_by_both_in_their_shares(quality: float) -> None:
    both = LaneTable.build([lane("acme/one", "alpha"), lane("acme/two")], TRAINED, CATALOGUE)
    graph_alone = LaneTable.build([lane("acme/one", "alpha"), lane("acme/two")], TRAINED)
    by_graph = believe_of_prediction(graph_alone, prediction(1, quality))
    whole, none, half = (believe_of_prediction(both, prediction(share, quality)) for share in (1.0, 0.0, 0.5))
    assert whole.quality[0] == pytest.approx(by_graph.quality[0], abs=1e-6)
    assert whole.completion_tokens[0] == pytest.approx(150)
    assert none.quality[0] == pytest.approx(chance_of(2, 0.5))
    if 0 < quality < 1:
        assert whole.quality_std[0] == pytest.approx(by_graph.quality_std[0], rel=1e-3)
        between = (np.log(quality / (1 - quality)) + np.log(none.quality[0] / (1 - none.quality[0]))) / 2
        assert half.quality[0] == pytest.approx(1 / (1 + np.exp(-between)), rel=1e-4)
    assert half.completion_tokens[0] == pytest.approx(np.sqrt(150 * none.completion_tokens[0]), rel=1e-5)
    ratio = none.reasoning_tokens[0] / none.completion_tokens[0]
    assert half.reasoning_tokens[0] / half.completion_tokens[0] == pytest.approx(ratio)
    assert half.quality[1] == none.quality[1]  # it is no reference model


def placed(vendor_model: str, shift: float) -> Lane:
    placement = Placement(np.array([0.5, 0.5]), 0.25, 0.3, 0.1, 1.0, 30, shift)
    return lane(vendor_model, prior=QualityPrior(1.0, 0.8, "a test", placement))


def test_graded_answers_of_ones_own_count_whole_for_work_of_their_kind_and_in_part_for_other_work() -> None:
    table = LaneTable.build([placed("acme/one", 1.5)], TRAINED, CATALOGUE)
    alone = LaneTable.build([placed("acme/one", 1.5)], TRAINED)
    whole, none = (believe_of_prediction(table, prediction(share)) for share in (1.0, 0.0))
    as_before = believe_of_prediction(alone, prediction(1.0))
    assert whole.quality == pytest.approx(as_before.quality)
    assert whole.quality_std == pytest.approx(as_before.quality_std)
    assert whole.completion_tokens == pytest.approx(as_before.completion_tokens)
    assert none.quality == pytest.approx([chance_of(2 + 0.7 * 1.5, 0.5)])
    assert (table.quality_basis(0), table.n_evidence(0)) == ("calibrated", 30)


def test_what_logs_taught_the_graph_counts_in_all_work() -> None:
    learned = replace(CATALOGUE, rewards={"alpha": 100})
    lanes = [lane("acme/one", "alpha"), lane("acme/two", "beta")]
    without, taught = (
        believe_of_prediction(LaneTable.build(lanes, TRAINED, models), prediction(0.0))
        for models in (CATALOGUE, learned)
    )
    log_odds = np.log(without.quality[0] / (1 - without.quality[0]))
    own = np.log(0.7 / 0.3)
    assert taught.quality[0] == pytest.approx(1 / (1 + np.exp(-(log_odds + own) / 2)), abs=1e-6)
    assert taught.quality[1] == pytest.approx(without.quality[1])


def test_a_model_that_is_not_listed_is_believed_by_its_general_ability() -> None:
    lanes = [
        lane("x/classed", prior=QualityPrior(3.0, 0.8, "a class", general=0.8, general_std=0.15)),
        lane("x/priced", prior=QualityPrior(1.85, 0.8, "its price")),
        lane("x/unknown"),
        lane("x/graded", "beta"),
    ]
    table = LaneTable.build(lanes, TRAINED, CATALOGUE)
    beliefs = believe_of_prediction(table, prediction())
    expected = [chance_of(-1 + 4 * 0.8, 0.15 * 4), chance_of(-1 + 4 * 0.5, 0.8 / 3.3 * 4), chance_of(0.5, 1.5)]
    assert beliefs.quality[:3] == pytest.approx(expected)
    assert beliefs.quality[3] == pytest.approx(chance_of(-1, 0.15 * 4))
    assert general_of(3.5) == 1
    assert [table.quality_basis(row) for row in range(4)] == ["class", "prior", "prior", "trained"]
    assert (beliefs.reasoning_tokens < 0.1).all()  # no lane declares that it reasons
    thinks = replace(lanes[2], capabilities=Capability.REASONING)
    reasoning = believe_of_prediction(LaneTable.build([thinks], TRAINED, CATALOGUE), prediction()).reasoning_tokens
    assert reasoning is not None
    assert reasoning[0] > 400


def test_an_effort_that_is_not_listed_is_believed_like_the_default_one() -> None:
    models = catalogue_of([Row("acme/one"), Row("acme/one@high"), Row("acme/two")])
    assert [models.find(name) for name in ("acme/one", "acme/one@high", "acme/one@low")] == [0, 1, 0]
    assert models.find("acme/three@high") is None


def test_a_table_without_demand_or_catalogue_believes_as_before() -> None:
    lanes = [lane("acme/one", "alpha"), lane("x/new", prior=QualityPrior(1.0, 0.8, "a class", general=0.5))]
    plain, rich = LaneTable.build(lanes, TRAINED), LaneTable.build(lanes, TRAINED, CATALOGUE)
    without = replace(prediction(), demand=None)
    for table, asked in ((plain, prediction()), (rich, without)):
        beliefs = believe_of_prediction(table, asked)
        assert beliefs.reasoning_tokens is None
        assert beliefs.quality[0] == pytest.approx(0.7)
        assert beliefs.quality[1] == pytest.approx(chance_of(1.0, 0.8))


def test_the_callers_limit_cuts_the_visible_answer_first() -> None:
    table = LaneTable.build([lane("acme/one"), lane("acme/two")], TRAINED, CATALOGUE)
    limited = RouteContext("x", 1, 10, max_output_tokens=1_000)
    expected = expect_outcomes(table, prediction(), limited, LaneState.unmeasured(table))
    assert expected.completion_tokens[0] == 1_000
    assert expected.reasoning_tokens is not None
    assert expected.reasoning_tokens[0] == 1_000
    assert expected.high_tokens is None


@pytest.mark.parametrize("limit", [1, 150, 1_500, 2_500, 9_000])
def test_a_limit_takes_quality_from_a_lane_whose_reasoning_may_not_fit(limit: int) -> None:
    table = LaneTable.build([lane("acme/one"), lane("acme/two")], TRAINED, CATALOGUE)
    state = LaneState.unmeasured(table)
    free = expect_outcomes(table, prediction(), RouteContext("x", 1, 10), state)
    limited = expect_outcomes(table, prediction(), RouteContext("x", 1, 10, max_output_tokens=limit), state)
    drawn = np.random.default_rng(1).lognormal(np.log(2_000), SIGMA, 200_000)
    needed = min(100 * np.exp(SIGMA**2 / 2), limit / 2)
    assert free.room is None
    assert limited.room is not None
    assert limited.room[0] == pytest.approx((drawn <= limit - needed).mean(), abs=0.003)
    assert limited.room[1] == pytest.approx(1.0, abs=0.001)  # it practically does not reason
    assert limited.quality == pytest.approx(free.quality * limited.room)
    assert limited.quality_std == pytest.approx(free.quality_std * limited.room)


demands = st.lists(st.floats(0, 3, width=32), min_size=5, max_size=5).map(lambda each: np.array(each, np.float32))


@st.composite
def tables(draw: st.DrawFn) -> LaneTable:
    numbers = st.floats(-30, 30, width=32)

    def rows(n: int) -> Float32s:
        return np.array(draw(st.lists(numbers, min_size=n * 5, max_size=n * 5)), np.float32).reshape(n, 5)

    models = replace(
        CATALOGUE,
        quality=rows(2),
        quality_std=rows(2),
        visible=rows(2),
        reasoning=rows(2),
        default_ability=rows(1)[0],
        default_std=rows(1)[0],
        general_rows=rows(2),
    )
    lanes = [
        lane("acme/one", "alpha"),
        lane("acme/two"),
        lane("x/unknown"),
        placed("x/placed", draw(st.floats(-5, 5))),
        lane("x/classed", prior=QualityPrior(0, 1, "a class", general=draw(st.floats(0, 1)), general_std=0.2)),
    ]
    return LaneTable.build(lanes, TRAINED, models)


@given(tables(), demands, st.floats(0, 1, width=32))
def test_beliefs_are_possible_whatever_the_rows(table: LaneTable, demand: Float32s, quality: float) -> None:
    beliefs = believe_of_prediction(table, replace(prediction(quality=quality), demand=demand))
    assert beliefs.reasoning_tokens is not None
    assert ((beliefs.quality >= 0) & (beliefs.quality <= 1)).all()
    assert ((beliefs.quality_std >= 0) & np.isfinite(beliefs.quality_std)).all()
    assert ((beliefs.reasoning_tokens > 0) & (beliefs.reasoning_tokens <= beliefs.completion_tokens)).all()
    assert np.isfinite(beliefs.completion_tokens).all()


@given(st.floats(-5, 5), st.floats(0.02, 3), st.floats(0.02, 3))
def test_more_doubt_draws_the_chance_towards_one_half(log_odds: float, std: float, other: float) -> None:
    models = catalogue_of([Row("acme/sure", log_odds, min(std, other)), Row("acme/unsure", log_odds, max(std, other))])
    table = LaneTable.build([lane("acme/sure"), lane("acme/unsure")], TRAINED, models)
    sure, unsure = believe_of_prediction(table, prediction()).quality
    assert abs(unsure - 0.5) <= abs(sure - 0.5) + 1e-9


@given(tables(), st.lists(demands, min_size=1, max_size=4))
def test_many_prompts_at_once_get_the_same_beliefs(table: LaneTable, several: list[Float32s]) -> None:
    one, n = prediction(), len(several)
    batch = believe_of_lanes(
        table,
        *(np.tile(values, (n, 1)) for values in (one.quality, one.quality_std, one.completion_tokens)),
        np.full((n, 1), one.difficulty),
        np.full((n, 1), one.typical_completion_tokens),
        np.stack(several),
    )
    for place, demand in enumerate(several):
        alone = believe_of_prediction(table, replace(one, demand=demand))
        for together, apart in zip(batch, alone, strict=True):
            assert together is not None
            # a share below one in a thousand counts as none for one prompt
            assert together[place] == pytest.approx(apart, rel=0.05 if demand[0] < 1e-3 else 1e-4, abs=1e-6)


def test_tables_with_the_same_models_share_one_matrix() -> None:
    lanes = [lane("acme/one"), lane("x/unknown"), lane("acme/two")]
    models = catalogue_of(ROWS)
    tables = [LaneTable.build(lanes, TRAINED, models) for _ in range(3)]
    matrices = {id(table.rows.matrix) for table in tables if table.rows is not None}
    assert len(matrices) == 1
    first = tables[0].rows
    assert first is not None
    assert first.matrix.shape == (15, 5)
    assert first.matrix.flags.c_contiguous
    assert not first.matrix.flags.writeable
    assert first.matrix.dtype == np.float32
    del tables, first
    gc.collect()
    assert not models._stacked  # nothing is kept for tables that are gone


def test_the_basis_says_what_it_rests_on_and_what_would_sharpen_it() -> None:
    table = LaneTable.build([lane("acme/one"), lane("acme/two")], TRAINED, CATALOGUE)
    words = [describe_basis(table.quality_basis(row), table.n_evidence(row)) for row in range(2)]
    assert words == ["own grades (1,204 answers)", "published scores (6)"]
    assert describe_basis("class", 0) == "class"
    assert how_to_sharpen("published_scores", "acme/two") == "llmdeal calibrate acme/two"
    assert how_to_sharpen("own_grades", "acme/one") is None


# Bundles on disk


@pytest.fixture(scope="module")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return derive_bundle(tmp_path_factory.mktemp("bundles") / "listed", catalogue=catalogue_of(ROWS))


@pytest.fixture
def copy(bundle_folder: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in bundle_folder.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def rewrite(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))


def replace_file(folder: Path, content: bytes) -> None:
    (folder / CATALOGUE_FILE).write_bytes(content)
    files = json.loads((folder / "manifest.json").read_text())["files"]
    rewrite(folder, files=files | {CATALOGUE_FILE: sha256(content).hexdigest()})


def with_arrays(change: Callable[[dict[str, np.ndarray]], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        with np.load(folder / CATALOGUE_FILE) as stored:
            arrays = dict(stored)
        change(arrays)
        np.savez(folder / "changed.npz", **arrays)
        replace_file(folder, (folder / "changed.npz").read_bytes())

    return spoil


def without_hash(folder: Path) -> None:
    files = json.loads((folder / "manifest.json").read_text())["files"]
    del files[CATALOGUE_FILE]
    rewrite(folder, files=files)


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "altered": (lambda folder: (folder / CATALOGUE_FILE).write_bytes(b"PK"), r"catalogue_models\.npz: its sha256 is"),
    "gone": (lambda folder: (folder / CATALOGUE_FILE).unlink(), r"catalogue_models\.npz: cannot be read"),
    "not vouched for": (without_hash, r"has no hash of catalogue_models\.npz"),
    "not an archive": (lambda folder: replace_file(folder, b"no archive"), "cannot be read"),
    "cut short": (
        lambda folder: replace_file(folder, (folder / CATALOGUE_FILE).read_bytes()[:900]),
        r"catalogue_models\.npz: cannot be read",
    ),
    "an array is missing": (with_arrays(lambda arrays: arrays.pop("log_std")), "has no array 'log_std'"),
    "a row is missing": (
        with_arrays(lambda arrays: arrays.update(visible=arrays["visible"][:1])),
        r"visible has the shape \(1, 5\), not \(2, 5\)",
    ),
    "another demand": (
        with_arrays(lambda arrays: arrays.update(default_std=np.zeros(4, np.float32))),
        r"default_std has the shape \(4,\), not \(5,\)",
    ),
    "not finite": (
        with_arrays(lambda arrays: arrays["quality"].__setitem__((0, 0), np.nan)),
        "quality holds a number that is not finite",
    ),
    "unknown basis": (with_arrays(lambda arrays: arrays["basis"].__setitem__(0, 7)), "basis holds 7, not 0..2"),
    "text for numbers": (
        with_arrays(lambda arrays: arrays.update(general=np.array(["a", "b"]))),
        "general has the type <U1",
    ),
    "named twice": (
        with_arrays(lambda arrays: arrays.update(names=np.array(["acme/one", "acme/one"]))),
        "a model is named twice",
    ),
    "pickled names": (
        with_arrays(lambda arrays: arrays.update(names=np.array(["acme/one", None], object))),
        "cannot be read",
    ),
    "no demand names": (lambda folder: rewrite(folder, demand_names=[]), "demand_names is missing"),
    "demands of another order": (
        lambda folder: rewrite(folder, demand_names=["unfamiliar", "reference", "a", "b", "c"]),
        "must be distinct and begin with reference and unfamiliar",
    ),
    "more demands than the graph has": (
        lambda folder: rewrite(folder, demand_names=[*DEMAND_NAMES, "more"]),
        r"has the shape \(2, 5\), not \(2, 6\)",
    ),
}


@pytest.mark.parametrize(("spoil", "complaint"), CASES.values(), ids=list(CASES))
def test_damaged_catalogue_models_are_refused(copy: Path, spoil: Callable[[Path], object], complaint: str) -> None:
    spoil(copy)
    with pytest.raises(BundleError, match=complaint) as refused:
        OnnxQualityModel(load_bundle(copy))
    assert str(copy) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_graph_without_the_promised_demand_is_refused(tmp_path: Path) -> None:
    plain = derive_bundle(tmp_path / "plain")
    rewrite(plain, format_version=3, demand_names=list(DEMAND_NAMES))
    with pytest.raises(BundleError, match="'demand'"):
        OnnxQualityModel(load_bundle(plain))


def test_a_bundle_of_format_2_is_one_without_catalogue_models(copy: Path, tmp_path: Path) -> None:
    plain = derive_bundle(tmp_path / "plain")
    rewrite(plain, format_version=2)
    bundle = load_bundle(plain)
    assert (bundle.catalogue, bundle.demand_names) == (None, ())
    assert OnnxQualityModel(bundle).predict(RouteContext.from_prompt("Hello")).demand is None


def test_a_bundle_reads_back_what_was_written(bundle_folder: Path) -> None:
    bundle = load_bundle(bundle_folder)
    assert bundle.catalogue is not None
    assert bundle.catalogue.names == ("acme/one", "acme/two")
    assert bundle.catalogue.to_bytes() == catalogue_of(ROWS).to_bytes()
    assert bundle.catalogue.abilities == bundle.abilities
    reference = bundle.read_reference()
    assert reference.demand is not None
    assert reference.demand.shape == (len(reference), len(DEMAND_NAMES))
    demand = OnnxQualityModel(bundle).predict(RouteContext.from_prompt("What is 17 * 23?")).demand
    assert demand is not None
    assert demand.shape == (len(DEMAND_NAMES),)
    assert demand[0] + demand[2] == pytest.approx(1, abs=1e-5)
    assert isinstance(bundle.catalogue, CatalogueModels)
