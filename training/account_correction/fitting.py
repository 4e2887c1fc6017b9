"""Fits the corrections of accounts to their judged answers and to the bundle's beliefs about them.

The caller brings both: this module reads no logs and asks no bundle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.account_correction import AccountCorrection, AccountCorrections, PromptSpace, hashed
from router.log_odds import logit
from training.account_correction.hierarchy import AccountAnswers, choose_spreads, fit_account

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]

FEWEST_ANSWERS = 500
"""An account with fewer judged answers gets no correction."""
_MOST_ACCOUNTS, _MOST_FOR_SPREADS = 20, 600
"""The spreads are chosen from the accounts with most answers, and from the latest answers of each."""
_MOST_ANSWERS = 50_000
"""Only this many answers of an account count, the latest ones. It bounds the memory; more answers change nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class JudgedAnswers:
    """`n` judged answers, in order of time, and the bundle's beliefs about their prompts.

    Args:
        quality: Shape (n, m), the bundle's P(good answer) of each trained model.
        column: Shape (n,), 0..m-1, the model that answered.
        reward, reward_std: Shape (n,), reward 0..1 and its standard deviation.
    """

    quality: Float32s
    column: Ints
    reward: Floats
    reward_std: Floats


@dataclass(frozen=True, slots=True, eq=False)
class FittedAccounts:
    """Fitted corrections, under the accounts' plain names.

    Args:
        space: Space of the bundle's reference prompts.
        by_account: Account -> its correction.
    """

    space: PromptSpace
    by_account: Mapping[str, AccountCorrection]

    @property
    def n_answers(self) -> int:
        """Number of judged answers that all corrections together are fitted to."""
        return sum(correction.n_answers for correction in self.by_account.values())

    def for_bundle(self, version: str) -> AccountCorrections:
        """Return the corrections as a bundle's file holds them: account names are hashed with the bundle's version."""
        named = {hashed(account, version): correction for account, correction in self.by_account.items()}
        return AccountCorrections(version, self.space, named)


def rows_by_account(accounts: npt.NDArray[np.str_], fewest_answers: int = FEWEST_ANSWERS) -> dict[str, Ints]:
    """Return account -> its rows, ascending, for the accounts with enough answers.

    Of an account with more than 50,000 answers, only the latest 50,000 are returned.

    Args:
        accounts: Shape (n,), account of each answer, in order of time.
        fewest_answers: Fewest answers of an account that gets a correction; see `FEWEST_ANSWERS`.
    """
    names, number, counts = np.unique(accounts, return_inverse=True, return_counts=True)
    parts = np.split(np.argsort(number, kind="stable"), np.cumsum(counts)[:-1])
    enough = np.flatnonzero(counts >= fewest_answers)
    return {str(names[place]): parts[place][-_MOST_ANSWERS:] for place in enough.tolist()}


def fit_accounts(
    answers: JudgedAnswers, accounts: Mapping[str, Ints], trained_names: Sequence[str], space: PromptSpace
) -> FittedAccounts:
    """Return the corrections of the accounts, each fitted to its own rows of the answers."""

    def answers_of(rows: Ints) -> tuple[AccountAnswers, list[str]]:
        columns, lane = np.unique(answers.column[rows], return_inverse=True)
        quality = answers.quality[rows]
        believed: Floats = logit(quality[np.arange(len(rows)), answers.column[rows]])
        of_account = AccountAnswers(
            space.design(quality),
            np.asarray(lane, np.intp),
            len(columns),
            believed,
            answers.reward[rows],
            answers.reward_std[rows],
        )
        return of_account, [trained_names[column] for column in columns]

    largest = sorted(accounts, key=lambda account: (-len(accounts[account]), account))[:_MOST_ACCOUNTS]
    spreads = choose_spreads([answers_of(accounts[account][-_MOST_FOR_SPREADS:])[0] for account in largest])
    by_account = {}
    for account, rows in accounts.items():
        of_account, names = answers_of(rows)
        fit = fit_account(of_account, spreads)
        by_account[account] = AccountCorrection(fit.shared, dict(zip(names, fit.own, strict=True)), len(rows))
    return FittedAccounts(space, by_account)
