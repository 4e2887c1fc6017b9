"""The challenger as a bundle: the champion's, with what was learned in its graph, its sample of answers and its manifest."""

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from router.account_correction import ACCOUNT_CORRECTIONS_FILE
from router.bundle import GRAPH_FILE, REFERENCE_FILE, TOKENIZER_FILE, version_of
from router.context import RouteContext
from router.lane_correction import LaneCorrection
from router.placement import logit, sigmoid
from router.recent_shifts import RECENT_SHIFTS_FILE, RecentShifts
from router.reference_answers import ReferenceAnswers
from training.account_correction.fitting import FittedAccounts
from training.bundle.export_onnx import GraphParts, assemble_graph
from training.bundle.parity import ParityReport, prove_parity
from training.bundle.writer import publish_bundle
from training.network.calibration import LONGEST_LOG_TOKENS
from training.network.encoding import encode_prompts
from training.network.fitted_model import Beliefs
from training.retrain.champion import Champion
from training.retrain.correction import LogitMap
from training.retrain.fused_network import run_heads

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

N_PARITY_PROMPTS = 200
_RIDGE = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What a retraining found.

    Args:
        parts: Of the challenger's graph, for `names`.
        names: The models.
        projection: How the challenger's logits follow from the champion's, exactly or nearly.
        lengths: (slope, offset) of each model's log length, each (m,).
    """

    parts: GraphParts
    names: tuple[str, ...]
    projection: LogitMap
    lengths: tuple[Floats, Floats]


def write_challenger(
    folder: Path,
    champion: Champion,
    learned: Learned,
    record: dict[str, object],
    recent: LaneCorrection,
    accounts: FittedAccounts | None = None,
) -> ParityReport:
    """Export, prove parity and put the bundle at `folder` in one step.

    Args:
        folder: Its name becomes the bundle's.
        champion: What it came from.
        learned: What was found.
        record: For the manifest, under `learned_from_logs`.
        recent: Where the watch begins under it.
        accounts: Corrections of what was learned, for single accounts; None: there are none.

    Raises:
        ParityError: The export differs from what was fitted; nothing is written.
        SettingsError: `folder` cannot be written.
    """
    reference = project_reference(champion, learned)
    files = {
        GRAPH_FILE: assemble_graph(learned.parts).SerializeToString(deterministic=True),
        TOKENIZER_FILE: learned.parts.table.tokenizer_json,
        REFERENCE_FILE: reference.to_bytes(),
    }
    version = version_of(folder.name, sha256(files[GRAPH_FILE]).hexdigest())
    files[RECENT_SHIFTS_FILE] = RecentShifts(version, recent).to_bytes()
    if accounts is not None:
        files[ACCOUNT_CORRECTIONS_FILE] = accounts.for_bundle(version).to_bytes()
    graded = champion.manifest["graded_answers"]
    manifest = dict(champion.manifest) | {
        "name": folder.name,
        "trained_names": list(learned.names),
        "abilities": _abilities(champion, learned, reference),
        "graded_answers": {name: graded.get(name, 0) for name in learned.names},
        "base": champion.bundle.version,
        "measures": {},
        "learned_from_logs": record,
    }
    contexts = [RouteContext.from_prompt(prompt) for prompt in parity_prompts(learned.parts.table.tokenizer_json)]
    beliefs = beliefs_of(learned.parts, learned.parts.scaler.transform(encode_prompts(contexts, learned.parts.table)))
    return publish_bundle(folder, files, manifest, lambda served: prove_parity(served, contexts, beliefs))


def beliefs_of(parts: GraphParts, inputs: Float32s) -> Beliefs:
    """Return what the graph of these parts says about standardised inputs (n, n_inputs)."""
    heads = run_heads(parts, inputs).astype(np.float64)  # (n, members, 2 m + 1)
    m = parts.n_models
    mean = heads.mean(axis=1)
    quality = 1 / (1 + np.exp(-mean[:, :m]))
    spread = np.sqrt(heads[..., :m].var(axis=1) + parts.intercept_variance)
    tokens = np.exp(mean[:, m : 2 * m].clip(0, LONGEST_LOG_TOKENS))
    return Beliefs(
        quality.astype(np.float32),
        (quality * (1 - quality) * spread).astype(np.float32),
        tokens.astype(np.float32),
        mean[:, -1].astype(np.float32),
    )


def project_reference(champion: Champion, learned: Learned) -> ReferenceAnswers:
    """Return the champion's sample with the challenger's beliefs; models that are new there answered none of its prompts.

    The sample has no text to ask the challenger about, and its beliefs come from networks that never saw its prompts: so the champion's are
    mapped, as the champion's logits were, or as the network that was fitted on lies to the champion on logged requests.
    """
    reference, n_new = champion.reference, len(learned.names) - champion.parts.n_models
    logits = learned.projection.apply(logit(reference.quality))
    mean_log = np.log(np.maximum(reference.completion_tokens, 1)).astype(np.float64)
    new_logs = np.repeat(mean_log.mean(axis=1, keepdims=True), n_new, axis=1)
    slope, offset = learned.lengths
    logs = np.concatenate([mean_log, new_logs], axis=1) * slope + offset
    unknown = np.full((len(reference), n_new), np.nan, np.float32)
    return replace(
        reference,
        quality=sigmoid(logits).astype(np.float32),
        completion_tokens=np.exp(logs.clip(0, LONGEST_LOG_TOKENS)).astype(np.float32),
        score=np.concatenate([reference.score, unknown], axis=1),
        answer_tokens=np.concatenate([reference.answer_tokens, unknown], axis=1),
    )


def fit_projection(before: Floats, after: Floats, start: LogitMap) -> LogitMap:
    """Return the line from the champion's logits (n, m) to the challenger's (n, m'), drawn towards `start`: ridge regression on its residual."""
    residual = after - start.apply(before)
    centre, mean = before.mean(axis=0), residual.mean(axis=0)
    centred = before - centre
    weights = np.linalg.solve(
        centred.T @ centred + _RIDGE * len(before) * np.eye(before.shape[1]), centred.T @ (residual - mean)
    )
    return LogitMap(
        start.matrix + weights.T, start.offset + mean - centre @ weights, start.information, start.n_rewards
    )


def parity_prompts(tokenizer_json: bytes) -> list[str]:
    """Return texts of all lengths, drawn from the whole vocabulary: nobody's prompts, and the same each time."""
    vocabulary = json.loads(tokenizer_json)["model"]["vocab"]
    words = sorted(word for word in vocabulary if word.isascii() and word.isalnum())
    random = np.random.default_rng(0)
    lengths = np.unique(np.logspace(0, 2.6, N_PARITY_PROMPTS).astype(int), return_counts=True)
    sizes = np.repeat(*lengths)
    return [" ".join(random.choice(words, size)) + random.choice(["?", ".", "\n1 + 2 = ", ""]) for size in sizes]


def _abilities(champion: Champion, learned: Learned, reference: ReferenceAnswers) -> dict[str, float]:
    """Return the abilities: the champion's, moved as far as the mean logit was; a new model's from its own mean logit."""
    before = logit(champion.reference.quality).mean(axis=0)
    after = logit(reference.quality).mean(axis=0)
    known = np.array([champion.bundle.abilities[name] for name in champion.trained_names])
    usual = float((known - before).mean())
    shift = np.concatenate([known - before, np.full(len(after) - len(before), usual)])
    return {name: round(float(value), 4) for name, value in zip(learned.names, after + shift, strict=True)}
