"""Settings of a fit. The defaults were chosen by grouped cross-validation on the shipped bundle's corpus."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Everything that decides a fit, except the data and the seed.

    Args:
        n_dimensions: Width of the static embedding.
        n_members: Networks in the ensemble; their mean is the belief, and their spread is its uncertainty.
        n_hidden: Width of the shared layer.
        n_factors: Latent factors of a prompt, which every model's head reads.
        n_token_hidden: Width of the layer that answer lengths are read from.
        epochs: Passes over the corpus.
        fewest_steps: Least number of steps; a small corpus gets more passes until they are made.
        batch_prompts: Prompts per step.
        learning_rate: Peak of the one-cycle schedule.
        weight_decay: Weight decay of the AdamW optimizer.
        input_dropout, hidden_dropout: Shares of units left out while fitting.
        task_weight, tokens_weight, difficulty_weight: Weights of the side losses, compared with the loss of quality.
        regret_weight: Weight of the loss from choices between priced models; see `training.network.regret`.
        regret_temperature: Softness of those choices while fitting, in score points.
        peculiarity_penalty: Penalty on the squares of a model's own weights for the factors, beyond difficulty.
        task_prior_answers: Answers that a model's overall mean counts for, as the prior of its mean in a task.
        n_folds: Number of folds of the cross-validation behind the calibration and the reported figures.
        threads: Number of torch threads; part of the recipe, because sums depend on it.
    """

    n_dimensions: int = 256
    n_members: int = 2
    n_hidden: int = 128
    n_factors: int = 48
    n_token_hidden: int = 96
    epochs: int = 30
    fewest_steps: int = 300
    batch_prompts: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    input_dropout: float = 0.3
    hidden_dropout: float = 0.3
    task_weight: float = 0.3
    tokens_weight: float = 1.0
    difficulty_weight: float = 0.3
    regret_weight: float = 0.3
    regret_temperature: float = 0.06
    peculiarity_penalty: float = 1e-3
    task_prior_answers: float = 20.0
    n_folds: int = 5
    threads: int = 2
