"""Writes a bundle: graph, tokenizer, manifest and model card.

The graph is compared with the fitted model before anything is put in place.
"""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from router.ability_prior import AbilityPrior
from router.bundle import (
    CARD_FILE,
    FORMAT_VERSION,
    GRAPH_FILE,
    MANIFEST_FILE,
    REFERENCE_FILE,
    TOKENIZER_FILE,
    load_bundle,
)
from router.catalogue_models import CATALOGUE_FILE
from router.features import FEATURES_VERSION
from router.onnx_quality_model import OnnxQualityModel
from router.quality_model import QualityModel
from router.reference_answers import ReferenceAnswers
from training.atomic_write import replace_folder
from training.bundle.export_onnx import build_graph
from training.bundle.model_card import render_model_card
from training.bundle.parity import QUALITY_TOLERANCE, TOKENS_TOLERANCE, ParityReport, prove_demand, prove_parity
from training.bundle.quick_graph import quick_graph
from training.corpus.graded_corpus import Corpus
from training.demand.catalogue import Catalogue
from training.demand.graph import with_demand
from training.errors import SettingsError
from training.network.encoding import EncodedPrompts
from training.network.fitted_model import FittedModel
from training.network.static_table import TEACHER_NAME

Measures = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """The origin and the measures of a bundle, for its manifest.

    Args:
        seed: Seed of the fit.
        base_version: Version of the bundle that the fit started from; None: it started from nothing.
        measures: Out-of-fold measures, source -> measure -> value; empty without prices.
        reference: Sample of graded answers that goes into the bundle.
        ability_prior: Prior of other models from their price and family; None without prices.
        catalogue: Beliefs about catalogue models; None: the bundle knows the models of its corpus alone.
    """

    seed: int
    base_version: str | None
    measures: Measures
    reference: ReferenceAnswers
    ability_prior: AbilityPrior | None
    catalogue: Catalogue | None = None


def write_bundle(
    folder: Path,
    fitted: FittedModel,
    corpus: Corpus,
    encoded: EncodedPrompts,
    record: TrainingRecord,
    advance: Callable[[], None] = lambda: None,
) -> ParityReport:
    """Export, check parity on every prompt of the corpus, and put the bundle at `folder` in one step.

    Raises:
        ParityError: The export differs from the fitted model; nothing is written.
        SettingsError: `folder` exists and is not a bundle, or cannot be written.
    """
    graph, catalogue = build_graph(fitted), record.catalogue
    if catalogue is not None:
        graph = with_demand(graph, catalogue.weights)
    files = {
        GRAPH_FILE: quick_graph(graph).SerializeToString(deterministic=True),
        TOKENIZER_FILE: fitted.table.tokenizer_json,
        REFERENCE_FILE: record.reference.to_bytes(),
    }
    if catalogue is not None:
        files[CATALOGUE_FILE] = catalogue.models.to_bytes()
    manifest = _manifest(folder.name, fitted, corpus, record)

    def prove(served: QualityModel) -> ParityReport:
        report = prove_parity(served, corpus.contexts(), fitted.predict(encoded), advance)
        if catalogue is not None:
            demand = catalogue.demand_of(fitted.scaler.transform(encoded))
            prove_demand(served, corpus.contexts(), demand)
        return report

    return publish_bundle(folder, files, manifest, prove)


def publish_bundle(
    folder: Path, files: dict[str, bytes], manifest: dict[str, object], prove: Callable[[QualityModel], ParityReport]
) -> ParityReport:
    """Load and check the bundle of these files, then put it at `folder` in one step, with manifest and card.

    Args:
        folder: Folder of the bundle.
        files: Name -> content of the files that the manifest hashes.
        manifest: Manifest without the hashes and the parity, which are added here.
        prove: Function that compares the served model with the fitted one.

    Raises:
        ParityError: The export differs from the fitted model; nothing is written.
        SettingsError: `folder` exists and is not a bundle, or cannot be written.
    """
    check_bundle_place(folder)
    manifest = manifest | {"files": {name: sha256(data).hexdigest() for name, data in files.items()}}
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in (files | {MANIFEST_FILE: _as_json(manifest)}).items():
            (Path(scratch) / name).write_bytes(content)
        served = OnnxQualityModel(load_bundle(Path(scratch)))
    report = prove(served)
    manifest["parity"] = {
        "prompts": report.n_prompts,
        "quality_tolerance": QUALITY_TOLERANCE,
        "completion_tokens_tolerance": TOKENS_TOLERANCE,
    }
    files = files | {MANIFEST_FILE: _as_json(manifest), CARD_FILE: render_model_card(manifest, report).encode()}
    replace_folder(folder, files)
    return report


def check_bundle_place(folder: Path) -> None:
    """Refuse to replace a folder that is not a bundle; called before the fit, so that no time is wasted.

    Raises:
        SettingsError: `folder` is a file, or a folder with other files in it.
    """
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"--out {folder}: is a file: name a folder")
    if folder.is_dir() and not (folder / MANIFEST_FILE).is_file() and any(folder.iterdir()):
        raise SettingsError(f"--out {folder}: is a folder with other files: name an empty or a new folder")
    place = next(parent for parent in folder.absolute().parents if parent.exists())
    if not os.access(place, os.W_OK):
        raise SettingsError(f"--out {folder}: {place} cannot be written: choose another place")


def _manifest(name: str, fitted: FittedModel, corpus: Corpus, record: TrainingRecord) -> dict[str, object]:
    graded = (corpus.scores == corpus.scores).sum(axis=0)  # NaN differs from itself
    return {
        "format_version": FORMAT_VERSION,
        "features_version": FEATURES_VERSION,
        "name": name,
        "trained_names": list(fitted.trained_names),
        "abilities": {
            trained: round(float(ability), 4)
            for trained, ability in zip(fitted.trained_names, fitted.calibration.abilities, strict=True)
        },
        "ability_prior": _plain(record.ability_prior),
        "graded_answers": {trained: int(count) for trained, count in zip(fitted.trained_names, graded, strict=True)},
        **_catalogue_entries(record.catalogue),
        "teacher": TEACHER_NAME,
        "base": record.base_version,
        "seed": record.seed,
        "settings": asdict(fitted.settings),
        "corpus": {
            "files": corpus.hashes,
            "prompts": len(corpus.prompts),
            "answers": int(graded.sum()),
            "sources": {
                str(source): int((corpus.sources == source).sum()) for source in sorted(set(corpus.sources.tolist()))
            },
        },
        "measures": {
            source: {name: round(value, 4) for name, value in row.items()} for source, row in record.measures.items()
        },
    }


def _catalogue_entries(catalogue: Catalogue | None) -> dict[str, object]:
    if catalogue is None:
        return {}
    models = catalogue.models
    return {
        "demand_names": list(catalogue.names),
        "catalogue": {
            "models": len({name.partition("@")[0] for name in models.names}),
            "rows": len(models.names),
            "prompts": catalogue.n_prompts,
            "expected_prompts": catalogue.n_examples,
            "answers": catalogue.n_answers,
        },
    }


def _plain(prior: AbilityPrior | None) -> dict[str, object] | None:
    if prior is None:
        return None
    return {"intercept": prior.intercept, "slope": prior.slope, "families": dict(prior.families), "std": prior.std}


def _as_json(manifest: dict[str, object]) -> bytes:
    return (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
