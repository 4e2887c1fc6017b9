"""The mechanical part of plain English: docstring entries, names of values, length of lines."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import ROOT

PACKAGES = ("router", "serve", "training", "bench")
LONGEST_LINE = 120
# An entry says what the value is: "Seed of the random generator", not "Of the draw".
FRAGMENTS = frozenset(
    [
        "As",
        "At",
        "By",
        "For",
        "From",
        "How",
        "In",
        "Of",
        "On",
        "To",
        "What",
        "When",
        "Where",
        "Which",
        "Who",
        "Whoever",
        "Whose",
        "Why",
        "With",
    ],
)
# A value is named by what it is (`headers`), not by what happened to it (`told`).
VAGUE_NAMES = frozenset({"told", "said", "found", "made", "laid", "known"})
TEXT_FOLDERS = (*PACKAGES, "tests", "docs", "notebooks", "data", ".ci")
TEXT_KINDS = frozenset({".py", ".md", ".toml", ".html", ".css", ".js", ".j2", ".yaml", ".sh"})


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def entries(docstring: str) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of the entries below `Args:` and `Attributes:`."""
    indent: int | None = None
    is_listed = False
    for line in docstring.splitlines():
        if re.fullmatch(r"\s*(Args|Attributes):", line):
            is_listed, indent = True, None
        elif is_listed and line.strip():
            here = len(line) - len(line.lstrip())
            indent = here if indent is None else indent
            if here < indent:
                is_listed = False
            elif here == indent and (entry := re.match(r"\s+\*{0,2}([\w, *]+): (.*)", line)):
                yield entry[1], entry[2]


def documented(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def value_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr.strip("_")


@pytest.mark.parametrize("package", PACKAGES)
def test_an_entry_of_a_docstring_says_what_the_value_is(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}: {text}"
        for path in modules(package)
        for docstring in documented(ast.parse(path.read_text(encoding="utf-8")))
        for name, text in entries(docstring)
        if re.split(r"\W", text, maxsplit=1)[0] in FRAGMENTS
    ]
    assert wrong == []


def test_entries_are_read_from_docstrings() -> None:
    docstring = (
        "Draw.\n\nArgs:\n    seed: Of the draw.\n        More.\n    n, m: Shape.\n\nRaises:\n    Error: For luck."
    )
    assert list(entries(docstring)) == [("seed", "Of the draw."), ("n, m", "Shape.")]


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_no_value_is_named_by_what_happened_to_it(package: str) -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(package)
        for name in value_names(ast.parse(path.read_text(encoding="utf-8")))
        if name in VAGUE_NAMES
    }
    assert wrong == set()


@pytest.mark.parametrize("folder", [*TEXT_FOLDERS, ""])
def test_no_line_is_longer_than_120_columns(folder: str) -> None:
    files = (ROOT / folder).rglob("*") if folder else ROOT.glob("*")
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        if path.suffix in TEXT_KINDS and path.is_file() and "/fixtures/" not in path.as_posix()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if len(line) > LONGEST_LINE and not re.fullmatch(r"\W*(\w+: *)?\"?https?://\S+", line)
    ]
    assert wrong == []
