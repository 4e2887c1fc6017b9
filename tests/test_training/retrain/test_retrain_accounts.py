"""Accounts that differ from each other: a challenger learns each account's judgements, and is judged with them."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.derived_bundle import plain_copy
from fakes.logged_world import ACCOUNTS, OVERRATED, UNDERRATED, write_logs

from router.account_correction import ACCOUNT_CORRECTIONS_FILE, AccountCorrection, AccountCorrections
from router.bundle import load_bundle, read_manifest
from training.account_correction.writing import write_corrections
from training.retrain.job import RetrainPlan, RetrainResult, retrain
from training.retrain.settings import RetrainSettings

pytestmark = [pytest.mark.slow]

ACME, GLOBEX = ACCOUNTS


class Silent:
    """Shows nothing; stops at the stage `fails_at`, as a killed process would."""

    def __init__(self, fails_at: str = "") -> None:
        self.fails_at = fails_at

    @contextmanager
    def stage(self, title: str, total: float | None) -> Iterator[Callable[[float], None]]:
        if title == self.fails_at:
            raise KeyboardInterrupt
        yield lambda amount: None


# The logged world is one of reference models alone.
PLAIN_BUNDLE = plain_copy(Path(tempfile.mkdtemp()) / "plain")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs") / "export"
    return write_logs(folder, 8_000, text_share=1.0, has_accounts=True, bundle=PLAIN_BUNDLE)


@pytest.fixture(scope="module")
def learned(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> RetrainResult:
    return retrain(RetrainPlan(logs, PLAIN_BUNDLE, tmp_path_factory.mktemp("data") / "bundles"), Silent())


def of_account(bundle: Path, account: str) -> AccountCorrection:
    correction = AccountCorrections.read(bundle / ACCOUNT_CORRECTIONS_FILE).of(account)
    assert correction is not None
    return correction


def offset(correction: AccountCorrection, trained_name: str) -> float:
    return float(correction.of_names([("", trained_name)])[0, 0])


def test_a_challenger_holds_a_correction_for_each_account(learned: RetrainResult) -> None:
    for account, better, worse in ((ACME, UNDERRATED, OVERRATED), (GLOBEX, OVERRATED, UNDERRATED)):
        correction = of_account(learned.bundle, account)
        assert offset(correction, better) > 0.4, account
        assert offset(correction, worse) < -0.4, account
    corrections = AccountCorrections.read(learned.bundle / ACCOUNT_CORRECTIONS_FILE)
    assert corrections.bundle_version == load_bundle(learned.bundle).version
    assert corrections.of("somebody") is None


def test_the_challenger_says_how_many_accounts_and_answers_and_names_none(learned: RetrainResult) -> None:
    manifest = read_manifest(learned.bundle)
    n_answers = sum(of_account(learned.bundle, account).n_answers for account in ACCOUNTS)
    record = manifest["learned_from_logs"]
    assert isinstance(record, dict)
    assert record["accounts"] == {"corrected": 2, "answers": n_answers}
    assert n_answers == record["rewards_with_text"]
    assert record["steps"][-1]["step"] == "accounts"
    assert record["steps"][-1]["loss_after"] < record["steps"][-1]["loss_before"]
    card = (learned.bundle / "README.md").read_text()
    assert f"corrections for single accounts, 2 of them, fitted to {n_answers:,} judged answers" in card
    for path in learned.bundle.iterdir():
        assert path.name == "verdict.json" or GLOBEX.encode() not in path.read_bytes(), path.name


def test_the_verdict_is_about_the_challenger_with_its_corrections(
    learned: RetrainResult, logs: Path, tmp_path: Path
) -> None:
    settings = RetrainSettings(corrects_accounts=False)
    without = retrain(RetrainPlan(logs, PLAIN_BUNDLE, tmp_path / "bundles", settings=settings), Silent())
    assert not (without.bundle / ACCOUNT_CORRECTIONS_FILE).exists()
    assert learned.verdict.is_better, learned.verdict.reasons
    gains = [result.verdict.utility_gain_usd for result in (learned, without)]
    assert gains[0] is not None
    assert gains[1] is not None
    assert gains[0].estimate > 1.2 * gains[1].estimate


def test_a_champion_is_judged_with_its_corrections_too(learned: RetrainResult, logs: Path, tmp_path: Path) -> None:
    champion = tmp_path / "champion" / learned.bundle.name
    shutil.copytree(learned.bundle, champion)
    manifest = read_manifest(champion)
    # The changed time makes these logs new to the champion.
    earlier = manifest["learned_from_logs"] | {"last_at": "2020-01-01T00:00:00+00:00"}  # type: ignore[operator]
    (champion / "manifest.json").write_text(json.dumps(manifest | {"learned_from_logs": earlier}))
    of_it = AccountCorrections.read(champion / ACCOUNT_CORRECTIONS_FILE)
    again = retrain(RetrainPlan(logs, champion, tmp_path / "bundles", start=champion), Silent())

    # Corrections in the gateway's folder replace the ones in the bundle. These correct no account.
    write_corrections(tmp_path / "elsewhere" / "account_corrections", replace(of_it, by_account={}))
    bare = retrain(RetrainPlan(logs, champion, tmp_path / "elsewhere" / "bundles", start=champion), Silent())

    assert bare.fingerprint != again.fingerprint
    assert bare.verdict.utility_gain_usd is not None
    assert bare.verdict.utility_gain_usd.low > 0  # this champion serves both accounts alike
    # A champion that serves each account by its correction leaves nothing to gain: the two hardly ever differ.
    assert not again.verdict.is_better
    assert any("cannot tell whether utility rises" in reason for reason in again.verdict.reasons)


@pytest.mark.parametrize("stage", ["Exporting and proving parity", "Judging on later conversations"])
def test_a_run_that_was_killed_ends_with_the_same_corrections(
    learned: RetrainResult, logs: Path, tmp_path: Path, stage: str
) -> None:
    plan = RetrainPlan(logs, PLAIN_BUNDLE, tmp_path / "bundles")
    with pytest.raises(KeyboardInterrupt):
        retrain(plan, Silent(fails_at=stage))
    result = retrain(plan, Silent())
    for name in (ACCOUNT_CORRECTIONS_FILE, "model.onnx", "manifest.json", "README.md"):
        assert (result.bundle / name).read_bytes() == (learned.bundle / name).read_bytes(), name
    assert not retrain(plan, Silent()).is_new


@pytest.mark.parametrize("kept", ["none", "nothing"])
def test_an_account_with_erased_logs_has_no_correction(
    logs: Path, learned: RetrainResult, tmp_path: Path, kept: str
) -> None:
    folder = tmp_path / "export"
    shutil.copytree(logs, folder)
    forget(folder, GLOBEX, kept)
    result = retrain(RetrainPlan(folder, PLAIN_BUNDLE, tmp_path / "bundles"), Silent())
    assert result.fingerprint != learned.fingerprint
    if (result.bundle / ACCOUNT_CORRECTIONS_FILE).exists():
        corrections = AccountCorrections.read(result.bundle / ACCOUNT_CORRECTIONS_FILE)
        assert corrections.of(GLOBEX) is None
        assert len(corrections.by_account) == 1


def test_accounts_with_few_answers_have_none(logs: Path, tmp_path: Path) -> None:
    settings = RetrainSettings(fewest_of_account=3_000)
    result = retrain(RetrainPlan(logs, PLAIN_BUNDLE, tmp_path / "bundles", settings=settings), Silent())
    assert not (result.bundle / ACCOUNT_CORRECTIONS_FILE).exists()
    record = json.loads((result.bundle / "manifest.json").read_text())["learned_from_logs"]
    assert record["accounts"] == {"corrected": 0, "answers": 0}
    assert "accounts" not in [step["step"] for step in record["steps"]]


def test_accounts_that_are_alike_have_none(tmp_path: Path) -> None:
    logs = write_logs(tmp_path / "export", 4_000, text_share=1.0, is_as_believed=True, bundle=PLAIN_BUNDLE)
    result = retrain(RetrainPlan(logs, PLAIN_BUNDLE, tmp_path / "bundles"), Silent())
    assert not (result.bundle / ACCOUNT_CORRECTIONS_FILE).exists()


def forget(export: Path, account: str, kept: str) -> None:
    """Add to an export that an account erased all its requests, as `llmdeal export` does."""
    content = {"accounts": [{"account": account, "until": "2100-01-01T00:00:00+00:00", "kept": kept}]}
    path = export / "forgotten.json"
    path.write_text(json.dumps(content))
    manifest = json.loads((export / "export.json").read_text())
    manifest["files"].append(
        {
            "path": path.name,
            "rows": 1,
            "size_bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
    )
    (export / "export.json").write_text(json.dumps(manifest))
