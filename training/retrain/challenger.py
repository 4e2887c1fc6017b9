"""Writes the challenger as a bundle: the champion's bundle with a new graph, new reference answers and manifest."""

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from router.account_correction import ACCOUNT_CORRECTIONS_FILE
from router.bundle import GRAPH_FILE, REFERENCE_FILE, TOKENIZER_FILE, version_of
from router.catalogue_models import CATALOGUE_FILE, CatalogueModels
from router.context import RouteContext
from router.lane_correction import LaneCorrection
from router.log_odds import logit, sigmoid
from router.recent_shifts import RECENT_SHIFTS_FILE, RecentShifts
from router.reference_answers import ReferenceAnswers
from training.account_correction.fitting import FittedAccounts
from training.bundle.export_onnx import GraphParts, assemble_graph
from training.bundle.parity import ParityReport, prove_parity
from training.bundle.quick_graph import quick_graph
from training.bundle.writer import publish_bundle
from training.demand.graph import with_demand
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
    """The challenger that a retraining learned.

    Args:
        parts: Parts of the challenger's graph, for `names`.
        names: Names of the models.
        projection: Map from the champion's logits to the challenger's, exact or approximate.
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
    catalogue: CatalogueModels | None = None,
    accounts: FittedAccounts | None = None,
) -> ParityReport:
    """Export the challenger, prove parity and write the bundle to `folder` in one step.

    Args:
        folder: Folder of the bundle; its name becomes the bundle's.
        champion: Bundle that the challenger was learned from.
        learned: Challenger.
        record: Entries of the manifest under `learned_from_logs`.
        recent: Shifts that the gateway's watch starts from under this bundle.
        catalogue: Catalogue models of the challenger; None: those of `champion`.
        accounts: Corrections of the challenger for single accounts; None: there are none.

    Raises:
        ParityError: The exported graph differs from the fitted network; nothing is written.
        SettingsError: `folder` cannot be written.
    """
    reference = project_reference(champion, learned)
    graph = assemble_graph(learned.parts)
    if champion.demand is not None:
        graph = with_demand(graph, champion.demand)
    files = {
        GRAPH_FILE: quick_graph(graph).SerializeToString(deterministic=True),
        TOKENIZER_FILE: learned.parts.table.tokenizer_json,
        REFERENCE_FILE: reference.to_bytes(),
    }
    catalogue = champion.bundle.catalogue if catalogue is None else catalogue
    if catalogue is not None:
        files[CATALOGUE_FILE] = catalogue.to_bytes()
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
        "rewards_of_models": _rewards_of(champion, learned),
        "base": champion.bundle.version,
        "measures": {},
        "learned_from_logs": record,
    }
    contexts = [RouteContext.from_prompt(prompt) for prompt in parity_prompts(learned.parts.table.tokenizer_json)]
    beliefs = beliefs_of(learned.parts, learned.parts.scaler.transform(encode_prompts(contexts, learned.parts.table)))
    return publish_bundle(folder, files, manifest, lambda served: prove_parity(served, contexts, beliefs))


def beliefs_of(parts: GraphParts, inputs: Float32s) -> Beliefs:
    """Return the beliefs of the graph with these parts about standardised inputs (n, n_inputs)."""
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
    """Return the champion's reference answers with the challenger's beliefs; new models answered none of the prompts.

    The reference answers have no text, so the challenger cannot be asked about them. And their beliefs have to come
    from networks that never saw the prompts. So the champion's beliefs are mapped by `learned.projection`: by the
    correction of the champion's logits, or by the fitted network's relation to the champion on logged requests.
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
    """Return the linear map from the champion's logits (n, m) to the challenger's (n, m').

    It is a ridge regression on the residual of `start`, so it is drawn towards `start`.
    """
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
    """Return random texts of all lengths from the whole vocabulary: no caller's prompts, and the same each time."""
    vocabulary = json.loads(tokenizer_json)["model"]["vocab"]
    words = sorted(word for word in vocabulary if word.isascii() and word.isalnum())
    random = np.random.default_rng(0)
    lengths = np.unique(np.logspace(0, 2.6, N_PARITY_PROMPTS).astype(int), return_counts=True)
    sizes = np.repeat(*lengths)
    return [" ".join(random.choice(words, size)) + random.choice(["?", ".", "\n1 + 2 = ", ""]) for size in sizes]


def _rewards_of(champion: Champion, learned: Learned) -> dict[str, int]:
    """Return trained name -> judged answers that it was learned from, in this retraining or an earlier one."""
    before = champion.manifest.get("rewards_of_models", {})
    counts = {
        name: max(int(count), before.get(name, 0))
        for name, count in zip(learned.names, learned.projection.n_rewards.tolist(), strict=True)
    }
    return {name: count for name, count in counts.items() if count}


def _abilities(champion: Champion, learned: Learned, reference: ReferenceAnswers) -> dict[str, float]:
    """Return the abilities of the challenger's models.

    A champion's model keeps its ability, shifted as its mean logit was. A new model gets its mean logit plus the mean
    difference between ability and mean logit.
    """
    before = logit(champion.reference.quality).mean(axis=0)
    after = logit(reference.quality).mean(axis=0)
    abilities = np.array([champion.bundle.abilities[name] for name in champion.trained_names])
    usual = float((abilities - before).mean())
    shift = np.concatenate([abilities - before, np.full(len(after) - len(before), usual)])
    return {name: round(float(value), 4) for name, value in zip(learned.names, after + shift, strict=True)}
