"""Fits the corrections of all accounts to logged requests, for one bundle."""

from collections.abc import Callable

import numpy as np

from router.account_correction import AccountCorrections, PromptSpace
from router.bundle import Bundle
from router.onnx_quality_model import OnnxQualityModel
from training.account_correction.fitting import FEWEST_ANSWERS, JudgedAnswers, fit_accounts, rows_by_account
from training.bundle.predict import ask
from training.off_policy.bundle_beliefs import contexts_of
from training.telemetry.logged_requests import LoggedRequests, Mask


def fit_account_corrections(
    logs: LoggedRequests,
    bundle: Bundle,
    fewest_answers: int = FEWEST_ANSWERS,
    advance: Callable[[float], None] = lambda share: None,
) -> AccountCorrections:
    """Return the corrections of all accounts with enough judged answers; other accounts get none.

    The bundle is asked again about each request, because the logged belief may be another bundle's or an already
    corrected one. The bundle reads text. So these requests are skipped:

    - requests that kept no text;
    - requests that were answered by a lane that the bundle was not trained on.

    Args:
        logs: Requests of any accounts; requests that were not judged are skipped.
        bundle: Bundle that is corrected.
        fewest_answers: Fewest judged answers of an account that gets a correction; see `fitting.FEWEST_ANSWERS`.
        advance: Function called after each request with its share of all requests that the bundle is asked about.
    """
    quality_model = OnnxQualityModel(bundle)
    space = PromptSpace.of(bundle.read_reference())
    column_of = {name: column for column, name in enumerate(quality_model.trained_names)}
    trained = np.array([column_of.get(name or "", -1) for name in logs.trained_names], np.intp)  # (m,)
    has_text: Mask = np.array([prompt is not None for prompt in logs.prompts], np.bool_)
    is_usable = np.isfinite(logs.reward) & np.isfinite(logs.reward_std) & has_text & (trained[logs.chosen] >= 0)
    judged = logs.rows(is_usable)
    accounts = rows_by_account(judged.accounts, fewest_answers)
    if not accounts:
        return AccountCorrections(bundle.version, space, {})
    asked = judged.rows(np.sort(np.concatenate(list(accounts.values()))))
    quality = ask(quality_model, contexts_of(asked), lambda: advance(1 / len(asked))).quality
    answers = JudgedAnswers(quality, trained[asked.chosen], asked.reward, asked.reward_std)
    rows = rows_by_account(asked.accounts, fewest_answers)
    return fit_accounts(answers, rows, quality_model.trained_names, space).for_bundle(bundle.version)
