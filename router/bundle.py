"""A bundle on disk: the exported quality model, its tokenizer, a sample of graded answers, and a manifest with hashes.

    model.onnx                the graph
    tokenizer.json            the tokenizer of the graph
    reference_answers.npz     a sample of the graded answers, without text; see `router.reference_answers`
    manifest.json             the models, the versions and the hashes of the files
    README.md                 the model card, for people
    account_corrections.npz   optional: corrections for single accounts; see `router.account_correction`
    catalogue_models.npz      optional, from format 3: beliefs about models on sale today; see `router.catalogue_models`
    recent_shifts.json        optional: where the watch begins, if it was learned from logs; see `router.recent_shifts`

Loading refuses a bundle that is incomplete, altered or made for other features. A bundle of format 2 loads as one
without catalogue models.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from router.ability_prior import AbilityPrior
from router.account_correction import ACCOUNT_CORRECTIONS_FILE
from router.catalogue_models import CATALOGUE_FILE, FIRST_DEMANDS, CatalogueModels
from router.errors import BundleError
from router.features import FEATURES_VERSION
from router.pool_figures import PoolFigures, read_pool_figures
from router.recent_shifts import RECENT_SHIFTS_FILE
from router.reference_answers import ReferenceAnswers

FORMAT_VERSION = 3
_WITHOUT_CATALOGUE = 2
"""Last format without catalogue models."""
READABLE_FORMATS = (_WITHOUT_CATALOGUE, FORMAT_VERSION)
MANIFEST_FILE = "manifest.json"
GRAPH_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
REFERENCE_FILE = "reference_answers.npz"
CARD_FILE = "README.md"
HASHED_FILES = (GRAPH_FILE, TOKENIZER_FILE, REFERENCE_FILE)
_OPTIONAL_FILES = (ACCOUNT_CORRECTIONS_FILE, CATALOGUE_FILE, RECENT_SHIFTS_FILE)
_REMEDY = "export the bundle again or get a whole copy"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A checked bundle. Its files stay on disk: onnxruntime would keep a second copy of a graph that it gets as bytes.

    Args:
        folder: Folder of its files.
        version: `<name>+<first digits of the graph's hash>`, as logged with every decision.
        trained_names: Models that the graph predicts, in the order of its outputs.
        abilities: Trained name -> ability, on the scale of the graph's difficulty: the log odds of a good answer to the
            average prompt of its corpus.
        ability_prior: Estimate of the abilities of other models, from price and family; None: it was trained without
            prices.
        demand_names: Names of the entries of the graph's output `demand`; empty: it has no such output.
        catalogue: Beliefs about catalogue models; None: it has none.
        pools: Figures of its makers, by kind of work; empty: its manifest has none.
    """

    folder: Path
    version: str
    trained_names: tuple[str, ...]
    abilities: Mapping[str, float]
    ability_prior: AbilityPrior | None
    demand_names: tuple[str, ...] = ()
    catalogue: CatalogueModels | None = None
    pools: tuple[PoolFigures, ...] = ()

    @property
    def known_names(self) -> tuple[str, ...]:
        """Names of all models that the bundle knows: those of the graph, and the catalogue models."""
        return self.trained_names if self.catalogue is None else (*self.trained_names, *self.catalogue.names)

    @property
    def graph_path(self) -> Path:
        """The ONNX graph."""
        return self.folder / GRAPH_FILE

    @property
    def tokenizer_path(self) -> Path:
        """The `tokenizer.json`."""
        return self.folder / TOKENIZER_FILE

    def read_reference(self) -> ReferenceAnswers:
        """Read the sample of graded answers.

        Raises:
            BundleError: The file was altered since the bundle was checked.
        """
        return ReferenceAnswers.read(self.folder / REFERENCE_FILE, len(self.trained_names), len(self.demand_names))


def load_bundle(folder: Path) -> Bundle:
    """Read and check a bundle.

    Raises:
        BundleError: A file is missing or differs from its hash, or the format or feature version is another one.
    """
    manifest = read_manifest(folder)
    hashes = {name: _check_hash(folder / name, manifest) for name in HASHED_FILES}
    for name in _OPTIONAL_FILES:
        if (folder / name).exists() or _has_hash(name, manifest):
            _check_hash(folder / name, manifest)
    path = folder / MANIFEST_FILE
    try:
        names = tuple(str(name) for name in manifest["trained_names"])  # type: ignore[attr-defined]  # caught below
        abilities = {name: float(manifest["abilities"][name]) for name in names}  # type: ignore[index]  # caught below
        version = version_of(str(manifest["name"]), hashes[GRAPH_FILE])
        stored = manifest["ability_prior"]
        prior = None if stored is None else AbilityPrior(**stored)  # type: ignore[arg-type]  # caught below
    except (KeyError, TypeError, ValueError) as problem:
        raise BundleError(
            f"{path}: trained_names, abilities, ability_prior or name is missing or malformed ({problem!r}): {_REMEDY}"
        ) from None
    if not names or len(set(names)) != len(names):
        raise BundleError(f"{path}: trained_names must be distinct and at least one: {_REMEDY}")
    demand_names, catalogue = _read_catalogue(folder, manifest, abilities)
    pools = read_pool_figures(manifest, path)
    return Bundle(folder, version, names, abilities, prior, demand_names, catalogue, pools)


def version_of(name: str, graph_hash: str) -> str:
    """Return the version of the bundle of this name whose graph has this sha256, in hexadecimal."""
    return f"{name}+{graph_hash[:8]}"


def read_manifest(folder: Path) -> dict[str, object]:
    """Return the manifest of a bundle of this format and feature version.

    Raises:
        BundleError: The manifest is missing, malformed or of another version.
    """
    path = folder / MANIFEST_FILE
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as problem:
        raise BundleError(f"{path}: cannot be read ({problem.strerror}): {_REMEDY}") from None
    except ValueError as problem:
        raise BundleError(f"{path}: is not JSON ({problem}): {_REMEDY}") from None
    if not isinstance(manifest, dict):
        raise BundleError(f"{path}: is not a JSON object: {_REMEDY}")
    for key, ours in (("format_version", READABLE_FORMATS), ("features_version", (FEATURES_VERSION,))):
        if manifest.get(key) not in ours:
            raise BundleError(
                f"{path}: {key} is {manifest.get(key)!r}, this program reads {' and '.join(map(str, ours))}: "
                "train the bundle again with this version"
            )
    return manifest


def _read_catalogue(
    folder: Path, manifest: Mapping[str, object], abilities: Mapping[str, float]
) -> tuple[tuple[str, ...], CatalogueModels | None]:
    """Return the names of the demands and the catalogue models, after the file's hash was checked."""
    if manifest["format_version"] == _WITHOUT_CATALOGUE:
        return (), None
    path, names = folder / MANIFEST_FILE, manifest.get("demand_names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BundleError(f"{path}: demand_names is not a list of texts: {_REMEDY}")
    if names and (tuple(names[: len(FIRST_DEMANDS)]) != FIRST_DEMANDS or len(set(names)) != len(names)):
        raise BundleError(
            f"{path}: demand_names must be distinct and begin with {' and '.join(FIRST_DEMANDS)}, not with "
            f"{names[: len(FIRST_DEMANDS)]}: {_REMEDY}"
        )
    if not _has_hash(CATALOGUE_FILE, manifest):
        return tuple(names), None
    if not names:
        raise BundleError(f"{path}: demand_names is missing, which {CATALOGUE_FILE} needs: {_REMEDY}")
    rewards = manifest.get("rewards_of_models", {})
    if not isinstance(rewards, dict) or not all(isinstance(count, int) for count in rewards.values()):
        raise BundleError(f"{path}: rewards_of_models does not give whole numbers: {_REMEDY}")
    return tuple(names), CatalogueModels.read(folder / CATALOGUE_FILE, len(names), abilities, rewards)


def _has_hash(name: str, manifest: Mapping[str, object]) -> bool:
    files = manifest.get("files")
    return isinstance(files, Mapping) and name in files


def _check_hash(path: Path, manifest: Mapping[str, object]) -> str:
    files = manifest.get("files")
    wanted = files.get(path.name) if isinstance(files, Mapping) else None
    if not isinstance(wanted, str):
        raise BundleError(f"{path.parent / MANIFEST_FILE}: has no hash of {path.name}: {_REMEDY}")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as problem:
        raise BundleError(f"{path}: cannot be read ({problem.strerror}): {_REMEDY}") from None
    if digest != wanted:
        raise BundleError(f"{path}: its sha256 is {digest[:12]}…, the manifest says {wanted[:12]}…: {_REMEDY}")
    return digest
