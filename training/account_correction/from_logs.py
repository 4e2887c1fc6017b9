"""Fits the corrections of all accounts to logged requests, for one bundle."""

from collections.abc import Callable

import numpy as np

from router.account_correction import AccountCorrection, AccountCorrections, PromptSpace, hashed
from router.bundle import Bundle
from router.onnx_quality_model import OnnxQualityModel
from router.placement import logit
from training.account_correction.hierarchy import AccountAnswers, choose_spreads, fit_account
from training.logged_requests import Floats, Ints, LoggedRequests, Mask
from training.off_policy.bundle_beliefs import contexts_of
from training.predict import ask

FEWEST_ANSWERS = 500
"""An account with fewer judged answers is served as the bundle says."""
_MOST_ACCOUNTS, _MOST_ANSWERS = 20, 600
"""From which the spreads are chosen: the accounts with most answers, the latest of each."""


def fit_account_corrections(
    logs: LoggedRequests,
    bundle: Bundle,
    fewest_answers: int = FEWEST_ANSWERS,
    advance: Callable[[float], None] = lambda share: None,
) -> AccountCorrections:
    """Return the corrections that the accounts' judged answers support; accounts with too few have none.

    What the bundle believes of each request is asked anew, for what was logged may be another bundle's belief or a corrected one. That takes its text:
    requests whose text was not kept, and those that lanes answered which the bundle was not trained on, are passed over.

    Args:
        logs: Requests of any accounts; those of which nothing was said are passed over.
        bundle: Which is corrected.
        fewest_answers: See `FEWEST_ANSWERS`.
        advance: Called with shares of the requests that are asked anew.
    """
    quality_model = OnnxQualityModel(bundle)
    space = PromptSpace.of(bundle.read_reference())
    column_of = {name: column for column, name in enumerate(quality_model.trained_names)}
    trained = np.array([column_of.get(name or "", -1) for name in logs.trained_names], np.intp)  # (m,)
    has_text: Mask = np.array([prompt is not None for prompt in logs.prompts], np.bool_)
    is_usable = np.isfinite(logs.reward) & np.isfinite(logs.reward_std) & has_text & (trained[logs.chosen] >= 0)
    judged = logs.rows(is_usable)
    columns = trained[judged.chosen]
    accounts = _accounts(judged, fewest_answers)
    if not accounts:
        return AccountCorrections(bundle.version, space, {})
    kept = np.sort(np.concatenate(list(accounts.values())))
    asked, place = judged.rows(kept), np.full(len(judged), -1, np.intp)
    place[kept] = np.arange(len(kept))
    quality = ask(quality_model, contexts_of(asked), lambda: advance(1 / len(kept))).quality
    design, log_odds = space.design(quality), logit(quality)

    def answers_of(rows: Ints) -> tuple[AccountAnswers, list[str]]:
        at = place[rows]
        used, lane = np.unique(columns[rows], return_inverse=True)
        names = [quality_model.trained_names[column] for column in used]
        believed: Floats = log_odds[at, columns[rows]]
        return AccountAnswers(
            design[at], np.asarray(lane, np.intp), len(used), believed, judged.reward[rows], judged.reward_std[rows]
        ), names

    largest = sorted(accounts, key=lambda account: (-len(accounts[account]), account))[:_MOST_ACCOUNTS]
    spreads = choose_spreads([answers_of(accounts[account][-_MOST_ANSWERS:])[0] for account in largest])
    found = {}
    for account, rows in accounts.items():
        answers, names = answers_of(rows)
        fit = fit_account(answers, spreads)
        own = dict(zip(names, fit.own, strict=True))
        found[hashed(account, bundle.version)] = AccountCorrection(fit.shared, own, len(rows))
    return AccountCorrections(bundle.version, space, found)


def _accounts(judged: LoggedRequests, fewest_answers: int) -> dict[str, Ints]:
    """Return account -> its rows, in order of time, of those with enough."""
    found = {}
    for account in np.unique(judged.accounts).tolist():
        rows = np.flatnonzero(judged.accounts == account)
        if len(rows) >= fewest_answers:
            found[str(account)] = rows
    return found
