"""The beliefs that another bundle would have had about logged requests.

A bundle reads text, and the logged features are only a part of its input. So it can only be asked about requests whose
text was kept.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from router.account_correction import ACCOUNT_CORRECTIONS_FILE, read_all
from router.answer_room import chance_of_room
from router.bundle import load_bundle
from router.context import RouteContext
from router.expectation import believe_of_lanes, shift_quality
from router.features import FEATURE_NAMES, FEATURES_VERSION
from router.lane_table import LaneTable
from router.onnx_quality_model import OnnxQualityModel
from router.text_window import cut_to_window
from training.off_policy.errors import CannotTellError
from training.off_policy.logged_lanes import is_judged_by_prior, latest_lanes, lay_out
from training.telemetry.logged_requests import Float32s, Floats, Ints, LoggedRequests

_CHARACTERS, _TURNS = FEATURE_NAMES.index("log_characters"), FEATURE_NAMES.index("log_turns")


class BundleBeliefs:
    """Replaces the logged beliefs with a bundle's beliefs, as a gateway with that bundle would have them.

    Which requests change:

    - Requests that the bundle decided itself keep the logged beliefs, with all that the gateway had learned online by
      then.
    - About other requests the bundle is asked. The account corrections in the bundle count. What the gateway would have
      learned online on top of it is unknown and left out. So a champion that decided gets credit for online learning,
      and a challenger does not.

    How a lane finds its model in the bundle:

    - By its trained name, else by the vendor's name of its model, which is the name that a retraining learned it under.
    - By the vendor's name of its model among the catalogue models.
    - A lane that is not in the bundle gets the belief of its prior, if it had that when it was logged.
    - Other lanes keep the logged belief. They were calibrated, or only the other bundle was trained on them.

    Expected costs and latencies change with the expected lengths, at the rates that the logs show.

    Args:
        folder: Folder of the bundle.

    Raises:
        router.errors.BundleError: The bundle is unusable.
    """

    def __init__(self, folder: Path) -> None:
        self._bundle = load_bundle(folder)
        self.version = self._bundle.version
        self._quality_model = OnnxQualityModel(self._bundle)
        self._corrections = read_all([folder / ACCOUNT_CORRECTIONS_FILE])

    def __call__(self, logs: LoggedRequests) -> LoggedRequests:
        """Return the requests with the bundle's beliefs.

        Raises:
            CannotTellError: The text of a request that another bundle decided was not kept, or the bundle was trained
                on none of the lanes' models.
        """
        others = np.flatnonzero(logs.router_versions != self.version)
        if not len(others):
            return logs
        lanes = latest_lanes(logs)
        table = lay_out(logs.lane_ids, lanes, self._bundle)
        if not table.is_in_bundle.any():
            raise CannotTellError(
                f"bundle {self.version} was trained on none of the models in these logs: its beliefs about them are "
                "unknown"
            )
        replaced = np.flatnonzero(table.is_in_bundle | is_judged_by_prior(logs, lanes))
        asked = logs.rows(others)
        beliefs = self._believe(asked, table)
        quality, std, believed_tokens = (values[:, replaced].astype(np.float32) for values in beliefs)
        tokens = logs.completion_tokens.copy()
        tokens[np.ix_(others, replaced)] = cut_to_limit(believed_tokens, asked)
        longer = tokens - logs.completion_tokens
        shift = logs.belief_shift
        return replace(
            logs,
            quality=_with(logs.quality, others, replaced, quality),
            quality_std=_with(logs.quality_std, others, replaced, std),
            completion_tokens=tokens,
            expected_cost_usd=(logs.expected_cost_usd + longer * per_token(logs, logs.expected_cost_usd)).astype(
                np.float32
            ),
            expected_latency_ms=(logs.expected_latency_ms + longer * per_token(logs, logs.expected_latency_ms)).astype(
                np.float32
            ),
            belief_shift=None if shift is None else _with(shift, others, replaced, np.zeros_like(quality)),
            lane_shift=None
            if logs.lane_shift is None
            else _with(logs.lane_shift, others, replaced, np.zeros_like(quality)),
        )

    def _believe(self, logs: LoggedRequests, table: LaneTable) -> tuple[Floats, Floats, Floats]:
        """Return (quality, its standard deviation, completion tokens) of all lanes, each (n, m).

        The bundle is called once for each request, as in production.
        """
        predictions = [self._quality_model.predict(context) for context in contexts_of(logs)]
        trained, std, tokens = (
            np.stack([getattr(each, name) for each in predictions])
            for name in ("quality", "quality_std", "completion_tokens")
        )
        difficulty, typical = (
            np.array([[getattr(each, name)] for each in predictions])
            for name in ("difficulty", "typical_completion_tokens")
        )
        demands = [each.demand for each in predictions if each.demand is not None]
        beliefs = believe_of_lanes(
            table, trained, std, tokens, difficulty, typical, np.stack(demands) if demands else None
        )
        shifts = self._account_shifts(logs, table, trained)
        quality, quality_std = shift_quality(beliefs.quality, beliefs.quality_std, shifts)
        if table.rows is not None and beliefs.reasoning_tokens is not None and logs.max_output_tokens is not None:
            limits = np.where(np.isnan(logs.max_output_tokens), np.inf, logs.max_output_tokens)[:, None]
            room = chance_of_room(
                beliefs.completion_tokens, beliefs.reasoning_tokens, limits, table.rows.reasoning_log_std
            )
            quality, quality_std = quality * room, quality_std * room
        return quality, quality_std, beliefs.completion_tokens

    def _account_shifts(self, logs: LoggedRequests, table: LaneTable, trained: Float32s) -> Floats:
        """Return the shifts of the lanes' log odds by the account corrections, shape (n, m).

        Args:
            logs: Logged requests.
            table: Lanes.
            trained: Shape (n, k), beliefs about the bundle's trained models.
        """
        shifts = np.zeros((len(logs), len(table)))
        corrections = self._corrections
        if corrections is None or corrections.bundle_version != self.version:
            return shifts
        for account in np.unique(logs.accounts).tolist():
            correction = corrections.of(account)
            if correction is not None:
                rows = np.flatnonzero(logs.accounts == account)
                shifts[rows] = corrections.space.shifts(trained[rows], correction.of_lanes(table))
        return shifts


def cut_to_limit(completion_tokens: Float32s, logs: LoggedRequests) -> Float32s:
    """Return expected lengths (n, any), cut to the caller's limit on the answer if the log has one."""
    limits = logs.max_output_tokens
    if limits is None:
        return completion_tokens
    return np.minimum(completion_tokens, np.where(np.isnan(limits), np.inf, limits)[:, None].astype(np.float32))


def contexts_of(logs: LoggedRequests) -> list[RouteContext]:
    """Return the requests as the quality model sees them.

    Raises:
        CannotTellError: Text of a request was not kept.
    """
    missing = sum(prompt is None for prompt in logs.prompts)
    if missing:
        raise CannotTellError(
            f"the text of {missing:,} of {len(logs):,} requests was not kept, and a bundle reads text: log with "
            'telemetry_content = "full", or judge a policy on the logged beliefs'
        )
    # The features hold the length of the conversation before its text was cut.
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


def _with(values: Float32s, rows: Ints, columns: Ints, new: Float32s) -> Float32s:
    replaced = values.copy()
    replaced[np.ix_(rows, columns)] = new
    return replaced


def per_token(logs: LoggedRequests, believed: Float32s) -> Floats:
    """Return how much one more output token adds to a belief (cost or latency) about each lane, shape (m,).

    It is the slope of a least squares fit, at least 0.
    """
    slopes = np.zeros(believed.shape[1])
    for lane in range(believed.shape[1]):
        is_known = (
            np.isfinite(believed[:, lane])
            & np.isfinite(logs.completion_tokens[:, lane])
            & np.isfinite(logs.prompt_tokens)
        )
        if is_known.sum() < 3:
            continue
        design = np.stack(
            [np.ones(is_known.sum()), logs.prompt_tokens[is_known], logs.completion_tokens[is_known, lane]], axis=1
        )
        coefficients, *_ = np.linalg.lstsq(design, believed[is_known, lane].astype(np.float64), rcond=None)
        slopes[lane] = max(float(coefficients[2]), 0.0)
    return slopes
