"""Fits accounts' corrections to their judged answers and to what a bundle believes of those; where both come from is the caller's affair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.account_correction import AccountCorrection, AccountCorrections, PromptSpace, hashed
from router.placement import logit
from training.account_correction.hierarchy import AccountAnswers, choose_spreads, fit_account

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]

FEWEST_ANSWERS = 500
"""An account with fewer judged answers is served as the bundle says."""
_MOST_ACCOUNTS, _MOST_FOR_SPREADS = 20, 600
"""From which the spreads are chosen: the accounts with most answers, the latest of each."""
_MOST_ANSWERS = 50_000
"""The latest so many of an account count: bounds the memory, and by then more of them move nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class JudgedAnswers:
    """`n` judged answers, in order of time, and what a bundle believes of their prompts.

    Args:
        quality: Shape (n, m), its P(good answer) of the trained models.
        column: Shape (n,), 0..m-1, the model that answered.
        reward, reward_std: Shape (n,), 0..1, and its deviation.
    """

    quality: Float32s
    column: Ints
    reward: Floats
    reward_std: Floats


@dataclass(frozen=True, slots=True, eq=False)
class FittedAccounts:
    """What was found of accounts, under their plain names.

    Args:
        space: Of the bundle's prompts.
        by_account: The accounts that have a correction.
    """

    space: PromptSpace
    by_account: Mapping[str, AccountCorrection]

    @property
    def n_answers(self) -> int:
        """How many judged answers all of it rests on."""
        return sum(correction.n_answers for correction in self.by_account.values())

    def for_bundle(self, version: str) -> AccountCorrections:
        """Return it as a bundle's file holds it: names are hashed with the bundle's version."""
        named = {hashed(account, version): correction for account, correction in self.by_account.items()}
        return AccountCorrections(version, self.space, named)


def rows_by_account(accounts: npt.NDArray[np.str_], fewest_answers: int = FEWEST_ANSWERS) -> dict[str, Ints]:
    """Return account -> its rows, ascending, of those with enough; the latest where there are very many.

    Args:
        accounts: Shape (n,), of the answers in order of time.
        fewest_answers: See `FEWEST_ANSWERS`.
    """
    names, number, counts = np.unique(accounts, return_inverse=True, return_counts=True)
    parts = np.split(np.argsort(number, kind="stable"), np.cumsum(counts)[:-1])
    enough = np.flatnonzero(counts >= fewest_answers)
    return {str(names[place]): parts[place][-_MOST_ANSWERS:] for place in enough.tolist()}


def fit_accounts(
    answers: JudgedAnswers, accounts: Mapping[str, Ints], trained_names: Sequence[str], space: PromptSpace
) -> FittedAccounts:
    """Return the corrections of accounts that have these rows of the answers."""

    def answers_of(rows: Ints) -> tuple[AccountAnswers, list[str]]:
        columns, lane = np.unique(answers.column[rows], return_inverse=True)
        quality = answers.quality[rows]
        believed: Floats = logit(quality[np.arange(len(rows)), answers.column[rows]])
        told = AccountAnswers(
            space.design(quality),
            np.asarray(lane, np.intp),
            len(columns),
            believed,
            answers.reward[rows],
            answers.reward_std[rows],
        )
        return told, [trained_names[column] for column in columns]

    largest = sorted(accounts, key=lambda account: (-len(accounts[account]), account))[:_MOST_ACCOUNTS]
    spreads = choose_spreads([answers_of(accounts[account][-_MOST_FOR_SPREADS:])[0] for account in largest])
    found = {}
    for account, rows in accounts.items():
        told, names = answers_of(rows)
        fit = fit_account(told, spreads)
        found[account] = AccountCorrection(fit.shared, dict(zip(names, fit.own, strict=True)), len(rows))
    return FittedAccounts(space, found)
