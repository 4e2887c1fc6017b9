"""Learning from logs of a simulated world in which the champion is wrong."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from checkout import SHIPPED_BUNDLE
from fakes.logged_world import NEW, OVERRATED, UNDERRATED, write_logs
from fakes.tiny_corpus import HOPELESS, STRONG, WEAK, tiny_tables, write_corpus

from router.bundle import load_bundle, read_manifest
from router.context import RouteContext
from router.errors import RewardError
from router.onnx_quality_model import OnnxQualityModel
from router.recent_shifts import RECENT_SHIFTS_FILE, RecentShifts
from training.errors import SettingsError, TelemetryError
from training.retrain.job import WORK_FOLDER, RetrainPlan, RetrainResult, retrain
from training.retrain.settings import RetrainSettings
from training.retrain.work_folder import only_one

pytestmark = [pytest.mark.slow]

EASY = "Ann buys 12 apples and then 7 more. How many apples is that in all?"
HARD = "Prove that the polynomial x^9 + 4x + 1 is irreducible over the rationals, or factor it (coins, sells)."


class Silent:
    """Shows nothing; stops at the stage `fails_at`, as a killed process would."""

    def __init__(self, fails_at: str = "") -> None:
        self.fails_at = fails_at
        self.stages: list[str] = []

    @contextmanager
    def stage(self, title: str, total: float | None) -> Iterator[Callable[[float], None]]:
        self.stages.append(title)
        if title == self.fails_at:
            raise KeyboardInterrupt
        yield lambda amount: None


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_logs(tmp_path_factory.mktemp("logs") / "export", 4_000, text_share=1.0)


@pytest.fixture(scope="module")
def learned(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> RetrainResult:
    return retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path_factory.mktemp("bundles")), Silent())


def beliefs(bundle: Path, text: str) -> dict[str, float]:
    quality_model = OnnxQualityModel(load_bundle(bundle))
    prediction = quality_model.predict(RouteContext.from_prompt(text))
    return dict(zip(quality_model.trained_names, prediction.quality.tolist(), strict=True))


def test_a_challenger_that_learned_from_rewards_is_better(learned: RetrainResult) -> None:
    before, after = beliefs(SHIPPED_BUNDLE, EASY), beliefs(learned.bundle, EASY)
    assert after[UNDERRATED] > 0.8
    assert after[OVERRATED] < 0.6 < before[OVERRATED]
    assert learned.verdict.is_better, learned.verdict.reasons
    assert learned.verdict.challenger_version == load_bundle(learned.bundle).version
    assert learned.verdict.champion_version == load_bundle(SHIPPED_BUNDLE).version
    gain = learned.verdict.utility_gain_usd
    assert gain is not None
    assert gain.low > 0


def test_a_model_that_only_the_logs_have_gets_a_head_of_its_own(learned: RetrainResult) -> None:
    easy, hard = beliefs(learned.bundle, EASY), beliefs(learned.bundle, HARD)
    assert easy[NEW] > 0.75
    assert hard[NEW] < 0.35


def test_the_manifest_says_what_the_bundle_was_learned_from_and_holds_no_text(learned: RetrainResult) -> None:
    manifest = json.loads((learned.bundle / "manifest.json").read_text())
    record = manifest["learned_from_logs"]
    assert record["requests"] == 4_000
    assert record["rewards"] == record["rewards_with_text"] == sum(record["rewards_of"].values())
    assert record["rewards_to_judge"] > 0
    assert [step["step"] for step in record["steps"]] == ["correction", "network", "accounts"]
    assert manifest["base"] == load_bundle(SHIPPED_BUNDLE).version
    for path in learned.bundle.iterdir():
        assert b"irreducible over the rationals" not in path.read_bytes()


def test_a_challenger_keeps_the_catalogue_models_and_counts_its_rewards(learned: RetrainResult) -> None:
    champion, challenger = load_bundle(SHIPPED_BUNDLE), load_bundle(learned.bundle)
    assert champion.catalogue is not None
    assert challenger.catalogue is not None
    assert challenger.demand_names == champion.demand_names
    assert challenger.catalogue.names == champion.catalogue.names
    assert sum(challenger.catalogue.rewards.values()) > 0
    context = RouteContext.from_prompt("Write a haiku about tests.")
    demands = [OnnxQualityModel(bundle).predict(context).demand for bundle in (champion, challenger)]
    assert demands[1] == pytest.approx(demands[0], abs=1e-5)


def test_without_text_the_logged_beliefs_are_corrected(tmp_path: Path) -> None:
    logs = write_logs(tmp_path / "export", 4_000, text_share=0.0)
    result = retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "bundles"), Silent())
    before, after = beliefs(SHIPPED_BUNDLE, EASY), beliefs(result.bundle, EASY)
    assert after[UNDERRATED] > 0.75
    assert after[OVERRATED] < 0.7 < before[OVERRATED]
    assert result.verdict.is_better, result.verdict.reasons


@pytest.mark.parametrize("stage", ["Learning", "Exporting and proving parity", "Judging on later conversations"])
def test_a_killed_run_continues_and_ends_with_the_same_bytes(
    learned: RetrainResult, logs: Path, tmp_path: Path, stage: str
) -> None:
    plan = RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "bundles")
    with pytest.raises(KeyboardInterrupt):
        retrain(plan, Silent(fails_at=stage))
    assert [path.name for path in plan.out.iterdir()] == [WORK_FOLDER]

    result = retrain(plan, Silent())

    assert result.is_new
    for name in ("model.onnx", "reference_answers.npz", "manifest.json", "README.md"):
        assert (result.bundle / name).read_bytes() == (learned.bundle / name).read_bytes(), name
    assert [path.name for path in (plan.out / WORK_FOLDER).iterdir()] == ["lock"]


def test_a_challenger_learns_on_and_keeps_the_models_that_it_learned(
    learned: RetrainResult, logs: Path, tmp_path: Path
) -> None:
    again = retrain(RetrainPlan(logs, learned.bundle, tmp_path / "bundles"), Silent())
    names = load_bundle(again.bundle).trained_names
    assert names == load_bundle(learned.bundle).trained_names
    assert again.bundle.name.startswith("llmdeal-base-2-r")
    assert again.bundle.name.count("-r") == 1
    assert beliefs(again.bundle, EASY)[NEW] > 0.75


def test_the_same_logs_count_once_however_many_challengers_came_before(
    learned: RetrainResult, logs: Path, tmp_path: Path
) -> None:
    again = retrain(RetrainPlan(logs, learned.bundle, tmp_path / "bundles"), Silent())
    assert again.verdict.champion_version == load_bundle(learned.bundle).version
    assert not again.verdict.is_better  # the champion learned from all of it: nothing is left to judge on
    assert again.verdict.n_requests == 0
    assert "cannot tell" in again.verdict.reasons[0]
    manifest = read_manifest(again.bundle)
    assert manifest["base"] == load_bundle(SHIPPED_BUNDLE).version
    assert manifest["learned_from_logs"]["rewards_to_judge"] == 0  # type: ignore[index]
    before, after = (beliefs(bundle, EASY) for bundle in (learned.bundle, again.bundle))
    for name in (UNDERRATED, OVERRATED, NEW):
        assert after[name] == pytest.approx(before[name], abs=0.2), name  # the split of the conversations differs


def test_no_bundle_is_judged_on_logs_that_the_champion_learned_from(learned: RetrainResult, tmp_path: Path) -> None:
    # The champion was learned from the first 4,000 requests.
    logs = write_logs(tmp_path / "export", 4_400, text_share=1.0)
    again = retrain(RetrainPlan(logs, learned.bundle, tmp_path / "bundles"), Silent())
    first = retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "bundles"), Silent())
    assert again.verdict.n_requests <= 400
    assert first.verdict.n_requests == 1_100


def test_if_the_first_bundle_cannot_be_asked_learning_starts_from_the_champion(
    learned: RetrainResult, tmp_path: Path
) -> None:
    version = load_bundle(learned.bundle).version
    logs = write_logs(tmp_path / "export", 2_000, text_share=0.0, router_version=version)
    again = retrain(RetrainPlan(logs, learned.bundle, tmp_path / "bundles"), Silent())
    assert read_manifest(again.bundle)["base"] == version
    assert [path.name for path in (tmp_path / "bundles" / WORK_FOLDER).iterdir()] == ["lock"]


def test_learning_starts_from_the_bundle_that_was_named(learned: RetrainResult, logs: Path, tmp_path: Path) -> None:
    again = retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "bundles", start=learned.bundle), Silent())
    assert read_manifest(again.bundle)["base"] == load_bundle(learned.bundle).version
    assert again.verdict.champion_version == load_bundle(SHIPPED_BUNDLE).version
    assert again.verdict.is_better, again.verdict.reasons


def test_the_latest_conversations_change_the_bundle_and_the_start_of_the_watch(
    learned: RetrainResult, tmp_path: Path
) -> None:
    recent = RecentShifts.read(learned.bundle / RECENT_SHIFTS_FILE)
    assert recent.bundle_version == load_bundle(learned.bundle).version
    assert max(abs(recent.correction.shift_of(f"acme/{name}", name)[0]) for name in (UNDERRATED, OVERRATED, NEW)) < 0.6

    logs = write_logs(tmp_path / "export", 4_000, text_share=1.0, fails_lately=UNDERRATED)
    result = retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "bundles"), Silent())

    # All failures are in the test conversations, so the judged challenger never saw them.
    assert beliefs(result.bundle, EASY)[UNDERRATED] < beliefs(learned.bundle, EASY)[UNDERRATED] - 0.05
    shift, _ = RecentShifts.read(result.bundle / RECENT_SHIFTS_FILE).correction.shift_of(
        f"acme/{UNDERRATED}", UNDERRATED
    )
    assert shift < -0.8


def test_a_corpus_is_learned_too(logs: Path, tmp_path: Path) -> None:
    prompts, responses = tiny_tables(60)
    responses["model"] = responses["model"].replace({STRONG: OVERRATED, WEAK: UNDERRATED, HOPELESS: "nobody/asks"})
    corpus = write_corpus(tmp_path / "corpus", prompts, responses)
    result = retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "bundles", corpus), Silent())
    record = json.loads((result.bundle / "manifest.json").read_text())["learned_from_logs"]
    assert set(record["corpus"]) == {"prompts.parquet", "responses.parquet"}
    assert "nobody/asks" not in load_bundle(result.bundle).trained_names


def test_the_work_folder_can_be_elsewhere(logs: Path, tmp_path: Path, learned: RetrainResult) -> None:
    result = retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "bundles", work=tmp_path / "work"), Silent())
    assert (result.bundle / "model.onnx").read_bytes() == (learned.bundle / "model.onnx").read_bytes()
    assert sorted(path.name for path in (tmp_path / "bundles").iterdir() if (path / "manifest.json").is_file()) == [
        result.bundle.name
    ]


def test_the_same_inputs_again_are_nothing_new(learned: RetrainResult, logs: Path) -> None:
    before = {path.name: path.read_bytes() for path in learned.bundle.iterdir()}
    progress = Silent()
    again = retrain(RetrainPlan(logs, SHIPPED_BUNDLE, learned.bundle.parent), progress)
    assert not again.is_new
    assert again.verdict == learned.verdict
    assert progress.stages == []
    assert {path.name: path.read_bytes() for path in learned.bundle.iterdir()} == before


def test_a_second_run_is_refused_while_one_is_running(logs: Path, tmp_path: Path) -> None:
    with only_one(tmp_path / "work"), pytest.raises(SettingsError, match="another retraining"):
        retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "bundles", work=tmp_path / "work"), Silent())
    assert not (tmp_path / "bundles").exists()


def test_a_damaged_log_is_named_in_one_line_and_nothing_is_written(tmp_path: Path) -> None:
    logs = write_logs(tmp_path / "export", 400, text_share=0.0)
    damaged = next(logs.glob("attempts/*/*.parquet"))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(TelemetryError) as refused:
        retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "bundles"), Silent())
    assert damaged.name in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not list((tmp_path / "bundles").glob("*/manifest.json"))


def test_too_few_rewards_are_refused_with_their_number(tmp_path: Path) -> None:
    logs = write_logs(tmp_path / "export", 400, text_share=0.0, feedback=0.1)
    with pytest.raises(TelemetryError, match=r"judged requests of 400 can be learned from, 200 are needed"):
        retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "bundles"), Silent())


def test_logs_that_only_confirm_the_champion_change_next_to_nothing(tmp_path: Path) -> None:
    logs = write_logs(tmp_path / "export", 3_000, text_share=0.0, is_as_believed=True)
    result = retrain(RetrainPlan(logs, SHIPPED_BUNDLE, tmp_path / "bundles"), Silent())
    before, after = beliefs(SHIPPED_BUNDLE, EASY), beliefs(result.bundle, EASY)
    assert np.abs([after[name] - before[name] for name in before]).max() < 0.08
    assert not result.verdict.is_better


def test_metrics_of_the_caller_are_part_of_the_settings() -> None:
    settings = RetrainSettings(metrics=("csat:1:10:0.3",))
    assert settings.reward_rules["csat"].std == 0.3
    assert "thumbs" in settings.reward_rules
    assert "refusal" not in settings.reward_rules
    with pytest.raises(RewardError, match="'csat' is no rule"):
        RetrainSettings(metrics=("csat",))
