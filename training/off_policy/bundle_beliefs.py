"""What another bundle would have believed of logged requests. It reads text, so it can only be asked where text was kept: the logged features are a part of what it sees."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from router.account_correction import ACCOUNT_CORRECTIONS_FILE, read_all
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
    """Puts a bundle's beliefs in the place of the logged ones, of lanes as the gateway would find them in it.

    Of requests that it decided itself the logged beliefs are its own, with all that the gateway had learned online by then; they stay. Of others it is asked, with
    the accounts' corrections that it carries and without what would have been learned online on top of it, as nobody knows what that would have been. So a
    challenger gets no credit for it, and a champion that decided does.

    A lane's trained name decides, else the vendor's name of its model, under which a retraining learned it. A lane that the bundle does not know is judged by its
    prior where it was when it was logged; others keep what was logged: one that was calibrated, or that only the other bundle knew.

    Expected costs move with the expected lengths, at the rates that the logs' own costs were made with; expected latencies likewise.

    Args:
        folder: Of the bundle.

    Raises:
        router.errors.BundleError: It is unusable.
    """

    def __init__(self, folder: Path) -> None:
        self._bundle = load_bundle(folder)
        self.version = self._bundle.version
        self._quality_model = OnnxQualityModel(self._bundle)
        self._corrections = read_all([folder / ACCOUNT_CORRECTIONS_FILE])

    def __call__(self, logs: LoggedRequests) -> LoggedRequests:
        """Return the requests with the bundle's beliefs.

        Raises:
            CannotTellError: Text of a request that another bundle decided was not kept, or the bundle knows none of the lanes.
        """
        others = np.flatnonzero(logs.router_versions != self.version)
        if not len(others):
            return logs
        lanes = latest_lanes(logs)
        table = lay_out(logs.lane_ids, lanes, self._bundle.trained_names, self._bundle.ability_prior)
        if table.has_prior_only.all():
            raise CannotTellError(
                f"bundle {self.version} was trained on none of the models in these logs: its beliefs about them are not known"
            )
        told = np.flatnonzero(~table.has_prior_only | is_judged_by_prior(logs, lanes))
        asked = logs.rows(others)
        quality, std, believed_tokens = (values[:, told].astype(np.float32) for values in self._believe(asked, table))
        tokens = logs.completion_tokens.copy()
        tokens[np.ix_(others, told)] = cut_to_limit(believed_tokens, asked)
        longer = tokens - logs.completion_tokens
        shift = logs.belief_shift
        return replace(
            logs,
            quality=_with(logs.quality, others, told, quality),
            quality_std=_with(logs.quality_std, others, told, std),
            completion_tokens=tokens,
            expected_cost_usd=(logs.expected_cost_usd + longer * per_token(logs, logs.expected_cost_usd)).astype(
                np.float32
            ),
            expected_latency_ms=(logs.expected_latency_ms + longer * per_token(logs, logs.expected_latency_ms)).astype(
                np.float32
            ),
            belief_shift=None if shift is None else _with(shift, others, told, np.zeros_like(quality)),
        )

    def _believe(self, logs: LoggedRequests, table: LaneTable) -> tuple[Floats, Floats, Floats]:
        """Return (quality, its deviation, completion tokens) of all lanes, each (n, m), one call a request, as in production."""
        predictions = [self._quality_model.predict(context) for context in contexts_of(logs)]
        trained, std, tokens = (
            np.stack([getattr(each, name) for each in predictions])
            for name in ("quality", "quality_std", "completion_tokens")
        )
        difficulty, typical = (
            np.array([[getattr(each, name)] for each in predictions])
            for name in ("difficulty", "typical_completion_tokens")
        )
        quality, quality_std, lengths = believe_of_lanes(table, trained, std, tokens, difficulty, typical)
        quality, quality_std = shift_quality(quality, quality_std, self._account_shifts(logs, table, trained))
        return quality, quality_std, lengths

    def _account_shifts(self, logs: LoggedRequests, table: LaneTable, trained: Float32s) -> Floats:
        """Return what the accounts' corrections add to the log odds of the lanes, shape (n, m), from the beliefs about the trained models."""
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
    """Return expected lengths (n, any), none longer than the caller's limit on the answer where the log says one."""
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


def _with(values: Float32s, rows: Ints, columns: Ints, new: Float32s) -> Float32s:
    replaced = values.copy()
    replaced[np.ix_(rows, columns)] = new
    return replaced


def per_token(logs: LoggedRequests, believed: Float32s) -> Floats:
    """Return what one more output token adds to what is believed of each lane, shape (m,): the slope of least squares, at least 0."""
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
        found, *_ = np.linalg.lstsq(design, believed[is_known, lane].astype(np.float64), rcond=None)
        slopes[lane] = max(float(found[2]), 0.0)
    return slopes
