"""The notebooks run from top to bottom on the samples of this repository, and keep the outputs of such a run."""

from pathlib import Path

import jupytext
import nbformat
import pandas as pd
import pytest
from checkout import ROOT
from fakes.tiny_collection import STRONG, write_collection
from fakes.tiny_corpus import tiny_tables, write_corpus
from nbclient import NotebookClient

pytestmark = [pytest.mark.slow]

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def run(path: Path, folder: Path) -> list[object]:
    """Run a notebook and return what its cells put out."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_notebook_runs_from_top_to_bottom_without_any_setting(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CORPUS", "COLLECTION", "NEW_MODEL", "LOGS", "BUNDLE", "LANE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FOLDS", "2")
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    run(path, tmp_path)


@pytest.mark.parametrize("with_costs", [True, False], ids=["with costs", "without costs"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_notebook_reads_the_corpus_and_the_collection_that_are_named(
    with_costs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORPUS", str(write_corpus(tmp_path / "corpus", *tiny_tables())))
    collection = write_collection(tmp_path / "collection")
    if with_costs:
        for path in collection.glob("*/responses.parquet"):
            responses = pd.read_parquet(path)
            responses.assign(cost_usd=responses["completion_tokens"] * 1e-6).to_parquet(path)
    monkeypatch.setenv("COLLECTION", str(collection))
    texts = [str(output) for output in run(NOTEBOOKS[0], tmp_path)]
    assert any("patches" in text and STRONG in text for text in texts)
    assert any("no costs" in text for text in texts) is not with_costs


@pytest.mark.parametrize("number", ["02", "06"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_notebooks_on_models_of_today_read_the_collection_that_is_named(
    number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOLDS", "2")
    monkeypatch.setenv("COLLECTION", str(write_collection(tmp_path / "collection")))
    monkeypatch.setenv("NEW_MODEL", STRONG)
    (path,) = [each for each in NOTEBOOKS if each.stem.startswith(number)]
    texts = [str(output) for output in run(path, tmp_path)]
    assert any("patches" in text for text in texts)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_its_outputs_and_no_error(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"], "warnings name paths of one machine"
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_and_its_script_have_the_same_cells(path: Path) -> None:
    notebook, script = nbformat.read(path, as_version=4), jupytext.read(path.with_suffix(".py"))
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in script.cells
    ], "run: jupytext --sync notebooks/*.ipynb"


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) >= 2
