"""The starting point of a fit: the means, so that it begins as the best constant of each task."""

import numpy as np
import numpy.typing as npt
import torch

from router.log_odds import logit
from training.network.ensemble import RoutingNetwork

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

_PRIOR_HITS, _PRIOR_ANSWERS = 1.0, 2.0


def start_at_means(
    network: RoutingNetwork,
    scores: Float32s,
    completion_tokens: Float32s,
    task_index: npt.NDArray[np.intp],
    task_prior_answers: float,
) -> None:
    """Set each model's biases to its mean score and mean log length, and each task's to the difference from them.

    A task's mean is drawn towards the model's overall mean, which counts as much as `task_prior_answers` answers.

    Args:
        network: New network, not fitted yet.
        scores: Shape (n, m), 0..1; NaN where unknown.
        completion_tokens: Shape (n, m); NaN where unknown.
        task_index: Shape (n,); task of each prompt.
        task_prior_answers: Weight of the overall mean, in answers.
    """
    logs = np.log1p(completion_tokens)
    graded, counted = (~np.isnan(scores)).sum(axis=0), (~np.isnan(logs)).sum(axis=0)
    rate = (np.nansum(scores, axis=0) + _PRIOR_HITS) / (graded + _PRIOR_ANSWERS)
    length = (np.nansum(logs, axis=0) + np.nansum(logs) / max(counted.sum(), 1)) / (counted + 1)
    with torch.no_grad():
        network.ability.add_(_tensor(logit(rate, least=0.0)))
        network.tokens_bias.add_(_tensor(length))
        for task in range(network.quality_task.shape[1]):
            of_task = task_index == task
            network.quality_task[:, task] += _tensor(
                logit(_drawn(scores[of_task], rate, task_prior_answers), least=0.0) - logit(rate, least=0.0)
            )
            network.tokens_task[:, task] += _tensor(_drawn(logs[of_task], length, task_prior_answers) - length)


def _drawn(values: Float32s, towards: Floats, prior_answers: float) -> Floats:
    answers = (~np.isnan(values)).sum(axis=0)
    return np.asarray((np.nansum(values, axis=0) + prior_answers * towards) / (answers + prior_answers), np.float64)


def _tensor(values: Floats) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))
