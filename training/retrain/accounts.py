"""Fits the challenger's corrections for single accounts, and applies both bundles' corrections when they are judged.

So the gate judges both bundles with the corrections that a gateway would serve them with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from router.account_correction import ACCOUNT_CORRECTIONS_FILE, AccountCorrections, PromptSpace, read_all
from router.bundle import Bundle
from router.expectation import shift_quality
from router.log_odds import logit
from training.account_correction.fitting import FittedAccounts, JudgedAnswers, fit_accounts, rows_by_account
from training.retrain.challenger import Learned, beliefs_of, project_reference
from training.retrain.champion import Champion
from training.retrain.evidence_table import CALIBRATE, TEST, TRAIN, Evidence
from training.retrain.learning import Choice, choose_step
from training.retrain.settings import RetrainSettings
from training.telemetry.logged_requests import LoggedRequests

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]
LaneNames = Sequence[tuple[str, str | None]]
"""Each lane's id, and the name of its model if the bundle was trained on it."""

_FOLDER = "account_corrections"
_ROWS_AT_ONCE = 50_000


@dataclass(frozen=True, slots=True, eq=False)
class LearnedAccounts:
    """Result of fitting corrections for accounts.

    Args:
        fitted: Corrections; None: no account has enough answers, or they did not predict later answers better.
        choice: Result of the test on the calibrating conversations; None: no account has enough answers.
    """

    fitted: FittedAccounts | None = None
    choice: Choice | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of accounts with a correction, and of judged answers that all corrections are fitted to."""
        fitted = self.fitted
        return {"corrected": len(fitted.by_account) if fitted else 0, "answers": fitted.n_answers if fitted else 0}

    def for_bundle(self, version: str) -> AccountCorrections | None:
        """Return the corrections as the file in the bundle holds them."""
        return None if self.fitted is None else self.fitted.for_bundle(version)


def learn_accounts(
    champion: Champion, learned: Learned, evidence: Evidence, settings: RetrainSettings
) -> LearnedAccounts:
    """Return the corrections of the challenger for accounts, fitted to all conversations but the test conversations.

    Like every step, the corrections have to earn their place. Fitted to the training conversations, they have to
    predict the judgements in the calibrating conversations better, over all accounts together. The corrections that are
    returned are then fitted to both.

    Args:
        champion: Bundle that the challenger was learned from.
        learned: Challenger, as it is exported.
        evidence: Evidence of the logs.
        settings: Settings of the retraining.
    """
    rows = _judged_rows(evidence, settings)
    if not len(rows):
        return LearnedAccounts()
    answers = _answers(learned, evidence, rows)
    accounts = rows_by_account(evidence.account[rows], settings.fewest_of_account)
    space = PromptSpace.of(project_reference(champion, learned))
    choice = _try_out(answers, accounts, evidence.split[rows], evidence.conversation[rows], learned.names, space)
    return LearnedAccounts(fit_accounts(answers, accounts, learned.names, space) if choice.is_taken else None, choice)


def fit_accounts_to_all(
    champion: Champion,
    learned: Learned,
    evidence: Evidence,
    settings: RetrainSettings,
    judged: LearnedAccounts,
) -> LearnedAccounts:
    """Return corrections that are fitted to all conversations, if the judged corrections earned their place.

    Args:
        champion, learned, evidence, settings: Same values as for `learn_accounts`, except that `learned`
            was learned from all conversations.
        judged: Corrections of the challenger that was judged, from `learn_accounts`.
    """
    if judged.fitted is None:
        return judged
    whole = evidence.all_to_learn()
    rows = _judged_rows(whole, settings)
    accounts = rows_by_account(whole.account[rows], settings.fewest_of_account)
    space = PromptSpace.of(project_reference(champion, learned))
    return replace(judged, fitted=fit_accounts(_answers(learned, whole, rows), accounts, learned.names, space))


def _judged_rows(evidence: Evidence, settings: RetrainSettings) -> Ints:
    """Return the rows of judged answers with text that are not test answers, of accounts with enough of them."""
    if not settings.corrects_accounts:
        return np.empty(0, np.intp)
    usable = np.flatnonzero((evidence.split != TEST) & evidence.has_text)
    accounts = rows_by_account(evidence.account[usable], settings.fewest_of_account)
    chosen: Ints = np.sort(np.concatenate([np.empty(0, np.intp), *accounts.values()]))
    return np.asarray(usable[chosen], np.intp)


def _answers(learned: Learned, evidence: Evidence, rows: Ints) -> JudgedAnswers:
    return JudgedAnswers(
        _quality_of(learned, evidence, rows), evidence.model[rows], evidence.reward[rows], evidence.reward_std[rows]
    )


def _quality_of(learned: Learned, evidence: Evidence, rows: Ints) -> Float32s:
    """Return the challenger's P(good answer), shape (len(rows), m), for rows whose text was kept."""
    parts = [np.empty((0, len(learned.names)), np.float32)]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        inputs = evidence.inputs[evidence.text_row[rows[start : start + _ROWS_AT_ONCE]]]
        parts.append(beliefs_of(learned.parts, np.asarray(inputs, np.float32)).quality)
    return np.concatenate(parts)


def _try_out(
    answers: JudgedAnswers,
    accounts: Mapping[str, Ints],
    split: Ints,
    conversation: npt.NDArray[np.uint64],
    names: Sequence[str],
    space: PromptSpace,
) -> Choice:
    """Test corrections that are fitted to the training conversations on the calibrating ones; return the choice."""
    earlier = {account: kept for account, rows in accounts.items() if len(kept := rows[split[rows] == TRAIN])}
    fitted, column = fit_accounts(answers, earlier, names, space), answers.column
    before = np.asarray(logit(answers.quality[np.arange(len(column)), column]), np.float64)
    after = before.copy()
    for account, correction in fitted.by_account.items():
        rows = accounts[account]
        shifts = space.shifts(answers.quality[rows], correction.of_names([(name, name) for name in names]))
        after[rows] += shifts[np.arange(len(rows)), column[rows]]
    later = np.flatnonzero(split == CALIBRATE)
    return choose_step("accounts", before[later], after[later], answers.reward[later], conversation[later])


def default_corrections_folder(bundles: Path) -> Path:
    """Return the folder of corrections next to a folder of bundles, as in a gateway's data folder."""
    return bundles.absolute().parent / _FOLDER


def corrections_of_champion(bundle: Bundle, folder: Path) -> AccountCorrections | None:
    """Return the corrections that a gateway would serve the champion with: from the folder, else from the bundle.

    None: there are no corrections.

    Raises:
        router.errors.BundleError: They cannot be read.
    """
    corrections = read_all([folder / f"{bundle.version}.npz", bundle.folder / ACCOUNT_CORRECTIONS_FILE])
    return corrections if corrections is not None and corrections.bundle_version == bundle.version else None


def without_shifts(logs: LoggedRequests) -> LoggedRequests:
    """Return the requests with the bundle's own beliefs: without online learning and account corrections."""
    if logs.belief_shift is None or not logs.belief_shift.any():
        return logs
    quality, std = shift_quality(
        logs.quality.astype(np.float64), logs.quality_std.astype(np.float64), -logs.belief_shift.astype(np.float64)
    )
    return replace(
        logs,
        quality=quality.astype(np.float32),
        quality_std=std.astype(np.float32),
        belief_shift=np.zeros_like(logs.belief_shift),
        lane_shift=np.zeros_like(logs.belief_shift),
    )


def with_accounts(
    logs: LoggedRequests, quality: Float32s, lanes: LaneNames, corrections: AccountCorrections | None
) -> LoggedRequests:
    """Return the requests with a bundle's beliefs, corrected for each account as a gateway corrects them.

    Args:
        logs: Requests with the bundle's beliefs.
        quality: Shape (n, m), the bundle's P(good answer) of all models that it was trained on, without NaN.
        lanes: Lanes of `logs`.
        corrections: Corrections of the bundle; None: it has none.
    """
    if corrections is None:
        return logs
    believed, std = logs.quality.copy(), logs.quality_std.copy()
    for account in np.unique(logs.accounts).tolist():
        correction = corrections.of(account)
        if correction is None:
            continue
        rows = np.flatnonzero(logs.accounts == account)
        shifts = corrections.space.shifts(quality[rows], correction.of_names(lanes))
        believed[rows], std[rows] = shift_quality(
            believed[rows].astype(np.float64), std[rows].astype(np.float64), shifts
        )
    return replace(logs, quality=believed, quality_std=std)
