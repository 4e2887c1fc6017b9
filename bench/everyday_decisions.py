"""Decides the prompts of the everyday suite as a gateway with made-up provider keys would. Asks no provider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from bench.everyday_suite import EverydayPrompt
from router.arrays import Floats, Ints, Mask, Rows
from router.decision import Decision, decide
from router.errors import NoEligibleLaneError
from router.expectation import Expectation
from router.lane import Lane
from serve.bundles.generation import load_generation
from serve.catalogue.provider_rows import load_provider_rows
from serve.clock import SystemClock
from serve.errors import ConfigurationError
from serve.http.doors import CHAT
from serve.lanes.assembler import LaneAssembler
from serve.lanes.directory import LaneDirectory
from serve.packaged_files import data_dir
from serve.routing.chosen_policy import default_policy
from serve.routing.request import routing_request
from serve.settings import Settings

_NO_CALIBRATIONS = "no-calibrations"
"""Name of a folder that is not there: the models that this machine's owner calibrated do not count."""


@dataclass(frozen=True, slots=True, eq=False)
class EverydayDecisions:
    """The decisions on the suite; arrays have the shape (n_prompts, n_lanes) unless their entry says otherwise.

    Args:
        prompts: Prompts that a lane could answer, shape (n_prompts,).
        unanswered: Ids of the prompts that no lane could answer.
        lanes: Lanes, shape (n_lanes,).
        chosen: Row of the chosen lane, shape (n_prompts,).
        prompt_tokens: Estimated length of the prompt, tokens, shape (n_prompts,).
        difficulty: Difficulty that the bundle sees, on the logit scale, shape (n_prompts,).
        quality: P(good answer), 0..1.
        cost_usd: Expected cost, USD.
        visible_tokens: Expected length of the visible answer, tokens.
        reasoning_tokens: Expected length of the reasoning before it, tokens.
        is_eligible: Whether the lane could answer.
    """

    prompts: tuple[EverydayPrompt, ...]
    unanswered: tuple[str, ...]
    lanes: tuple[Lane, ...]
    chosen: Rows
    prompt_tokens: Ints
    difficulty: Floats
    quality: Floats
    cost_usd: Floats
    visible_tokens: Floats
    reasoning_tokens: Floats
    is_eligible: Mask


def decide_suite(prompts: Sequence[EverydayPrompt], directory: LaneDirectory, settings: Settings) -> EverydayDecisions:
    """Decide every prompt on the lanes of a gateway that was just started, by the settings' policy.

    Raises:
        ConfigurationError: No lane can answer any of the prompts.
        BadRequestError: A prompt is no valid request.
    """
    policy, rng = default_policy(settings), np.random.default_rng(settings.seed)
    table = directory.choosable
    decisions: list[Decision] = []
    answered: list[EverydayPrompt] = []
    difficulty: list[float] = []
    prompt_tokens: list[int] = []
    for prompt in prompts:
        inquiry = CHAT.read(msgspec.json.encode(prompt.body))
        request = routing_request(inquiry.fields, table, policy, given_parameters=inquiry.body.keys())
        prediction = directory.quality_model.predict(inquiry.context)
        try:
            decision = decide(
                table,
                inquiry.context,
                prediction,
                directory.health.state().of_first(len(table)),
                request.policy,
                rng,
                request.constraints,
                request.preferences,
                directory.bar,
            )
        except NoEligibleLaneError:
            continue
        decisions.append(decision)
        answered.append(prompt)
        difficulty.append(float(prediction.difficulty))
        prompt_tokens.append(inquiry.context.prompt_tokens)
    if not decisions:
        raise ConfigurationError("No lane can answer any of the prompts. Name more providers in --keys.")
    visible, reasoning = zip(*(visible_and_reasoning(decision.expectation) for decision in decisions), strict=True)
    return EverydayDecisions(
        prompts=tuple(answered),
        unanswered=tuple(sorted({prompt.id for prompt in prompts} - {prompt.id for prompt in answered})),
        lanes=table.lanes,
        chosen=np.array([decision.order[0] for decision in decisions], np.intp),
        prompt_tokens=np.array(prompt_tokens, np.int64),
        difficulty=np.array(difficulty),
        quality=np.stack([decision.expectation.quality for decision in decisions]),
        cost_usd=np.stack([decision.expectation.cost_usd for decision in decisions]),
        visible_tokens=np.stack(visible),
        reasoning_tokens=np.stack(reasoning),
        is_eligible=np.stack([decision.exclusions.is_eligible for decision in decisions]),
    )


def lanes_of(bundle: Path, providers: Sequence[str]) -> tuple[LaneDirectory, Settings]:
    """Return the lanes that a gateway has with one key at each provider, and its settings: all defaults.

    Raises:
        BundleError: The bundle cannot be used.
        ConfigurationError: A provider is unknown or takes no plain key, or the catalogue is wrong.
    """
    settings = Settings.model_validate({"sandbox": "off", "calibrations": str(bundle / _NO_CALIBRATIONS)})
    environment = made_up_keys(providers)
    assembler = LaneAssembler(settings, environment, load_generation(bundle), SystemClock())
    return assembler.of_operator().directory, settings


def made_up_keys(providers: Sequence[str]) -> Mapping[str, str]:
    """Return environment variables with a made-up key for each provider.

    Raises:
        ConfigurationError: A provider is unknown or takes no plain key.
    """
    row_of = {row.id: row for row in load_provider_rows(data_dir() / "providers") if row.key_env}
    for provider in providers:
        if provider not in row_of:
            raise ConfigurationError(f"No provider with a key is called {provider!r}. Use some of {', '.join(row_of)}.")
    rows = [row_of[provider] for provider in providers]
    return {row.key_env[0]: f"{row.key_prefix or ''}made-up" for row in rows}


def visible_and_reasoning(expectation: Expectation) -> tuple[Floats, Floats]:
    """Return the expected tokens of the visible answer and of the reasoning, each of shape (n_lanes,).

    A bundle that does not tell them apart expects no reasoning: the whole completion counts as visible.
    """
    completion = expectation.completion_tokens
    reasoning: Floats | None = getattr(expectation, "reasoning_tokens", None)
    if reasoning is None:
        return completion, np.zeros_like(completion)
    return np.maximum(completion - reasoning, 0.0), reasoning
