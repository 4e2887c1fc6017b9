"""CONTRIBUTING.md names files that exist, and its samples import what there is."""

import ast
import re
from importlib import import_module

import pytest
from checkout import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
NEW = set(re.findall(r"^\| new \| `([^`]+)` \|", PAGE, re.MULTILINE))
"""Files that a reader adds."""
NAMED = set(
    re.findall(r"\b(?:bench|data|docs|models|notebooks|requirements|router|serve|tests|training)/[\w./-]*\w", PAGE)
)
SAMPLES = re.findall(r"```python\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)


def test_every_path_exists_unless_the_reader_adds_it() -> None:
    assert len(NAMED) > 50
    assert sorted(path for path in NAMED - NEW if not (ROOT / path).exists()) == []


def test_what_the_reader_adds_goes_into_folders_that_exist() -> None:
    assert len(NEW) > 8
    assert sorted(path for path in NEW if (ROOT / path).exists() or not (ROOT / path).parent.is_dir()) == []


@pytest.mark.parametrize(("path", "code"), SAMPLES, ids=[path for path, _ in SAMPLES])
def test_a_sample_imports_what_there_is(path: str, code: str) -> None:
    assert path in NEW
    added = {name.removesuffix(".py").replace("/", ".") for name in NEW}
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module not in added:
            module = import_module(str(node.module))
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_links_to_headings_of_the_page_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", PAGE, re.M)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= headings
