"""What another bundle would have believed of logged requests. It reads text, so it can only be asked where text was kept: the logged features are a part of what it sees."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from router.bundle import load_bundle
from router.context import RouteContext
from router.features import FEATURE_NAMES, FEATURES_VERSION
from router.onnx_quality_model import OnnxQualityModel
from router.text_window import cut_to_window
from training.logged_requests import Float32s, Floats, LoggedRequests
from training.off_policy.errors import CannotTellError
from training.predict import ask

_CHARACTERS, _TURNS = FEATURE_NAMES.index("log_characters"), FEATURE_NAMES.index("log_turns")


class BundleBeliefs:
    """Puts a bundle's beliefs in the place of the logged ones, for lanes whose model it was trained on; others keep what was logged.

    Expected costs move with the expected lengths, at the rates that the logs' own costs were made with; expected latencies likewise.
    What the gateway had learned online on top of its own bundle is not carried over; a caller's limit on the answer is not logged with requests, so that expected lengths are not
    cut to it.

    Args:
        folder: Of the bundle.

    Raises:
        router.errors.BundleError: It is unusable.
    """

    def __init__(self, folder: Path) -> None:
        bundle = load_bundle(folder)
        self.version = bundle.version
        self._quality_model = OnnxQualityModel(bundle)

    def __call__(self, logs: LoggedRequests) -> LoggedRequests:
        """Return the requests with the bundle's beliefs.

        Raises:
            CannotTellError: Text of a request was not kept, or the bundle knows none of the lanes.
        """
        columns = {name: place for place, name in enumerate(self._quality_model.trained_names)}
        known = [place for place, name in enumerate(logs.trained_names) if name in columns]
        if not known:
            raise CannotTellError(
                f"bundle {self.version} was trained on none of the models in these logs: its beliefs about them are not known"
            )
        contexts = contexts_of(logs)
        beliefs = ask(self._quality_model, contexts)
        seen = [columns[name] for place in known if (name := logs.trained_names[place]) is not None]
        tokens = logs.completion_tokens.copy()
        tokens[:, known] = beliefs.completion_tokens[:, seen]
        longer = tokens - logs.completion_tokens
        shift = logs.belief_shift
        return replace(
            logs,
            quality=_with(logs.quality, known, beliefs.quality[:, seen]),
            quality_std=_with(logs.quality_std, known, beliefs.quality_std[:, seen]),
            completion_tokens=tokens,
            expected_cost_usd=(logs.expected_cost_usd + longer * per_token(logs, logs.expected_cost_usd)).astype(np.float32),
            expected_latency_ms=(logs.expected_latency_ms + longer * per_token(logs, logs.expected_latency_ms)).astype(
                np.float32
            ),
            belief_shift=None if shift is None else _with(shift, known, np.zeros((len(logs), len(known)), np.float32)),
        )


def contexts_of(logs: LoggedRequests) -> list[RouteContext]:
    """Return the requests as the quality model sees them.

    Raises:
        CannotTellError: Text of a request was not kept.
    """
    missing = sum(prompt is None for prompt in logs.prompts)
    if missing:
        raise CannotTellError(
            f'the text of {missing:,} of {len(logs):,} requests was not kept, and a bundle reads text: log with telemetry_content = "full", or judge '
            "a policy on the logged beliefs"
        )
    # How long the conversation was before it was cut stands in the features.
    is_readable = logs.features_version == FEATURES_VERSION and logs.features.shape[1] == len(FEATURE_NAMES)
    has_shape = np.asarray(np.isfinite(logs.features).all(axis=1) if is_readable else np.zeros(len(logs)), np.bool_)
    contexts = []
    for row, prompt in enumerate(logs.prompts):
        text = str(prompt)
        characters, n_turns = len(text), 1
        if has_shape[row]:
            characters = round(float(np.expm1(logs.features[row, _CHARACTERS])))
            n_turns = 1 + round(float(np.expm1(logs.features[row, _TURNS])))
        tokens = logs.prompt_tokens[row]
        contexts.append(RouteContext(cut_to_window(text), characters, 0 if np.isnan(tokens) else int(tokens), n_turns))
    return contexts


def _with(values: Float32s, columns: list[int], new: Float32s) -> Float32s:
    replaced = values.copy()
    replaced[:, columns] = new
    return replaced


def per_token(logs: LoggedRequests, believed: Float32s) -> Floats:
    """Return what one more output token adds to what is believed of each lane, shape (m,): the slope of least squares, at least 0."""
    slopes = np.zeros(believed.shape[1])
    for lane in range(believed.shape[1]):
        is_known = np.isfinite(believed[:, lane]) & np.isfinite(logs.completion_tokens[:, lane]) & np.isfinite(logs.prompt_tokens)
        if is_known.sum() < 3:
            continue
        design = np.stack([np.ones(is_known.sum()), logs.prompt_tokens[is_known], logs.completion_tokens[is_known, lane]], axis=1)
        found, *_ = np.linalg.lstsq(design, believed[is_known, lane].astype(np.float64), rcond=None)
        slopes[lane] = max(float(found[2]), 0.0)
    return slopes
