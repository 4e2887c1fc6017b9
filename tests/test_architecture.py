"""The map of the rooms in docs/architecture.md holds."""

import re
import tomllib
from pathlib import Path

import pytest
from checkout import ROOT

PAGE = ROOT / "docs" / "architecture.md"


def packages(name: str) -> set[str]:
    """Every folder of a package that holds a module, as the page writes it: `serve/lanes/`."""
    return {f"{folder.parent.relative_to(ROOT).as_posix()}/" for folder in (ROOT / name).rglob("*.py")}


def rooms(name: str) -> list[str]:
    rows = re.findall(r"^\| `([\w/]+/)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [room for room in rows if room.startswith(f"{name}/")]


@pytest.mark.parametrize("name", ["serve", "training", "router"])
def test_every_folder_has_its_line_and_every_line_its_folder(name: str) -> None:
    written = rooms(name)
    assert len(written) == len(set(written))
    assert set(written) - {f"{name}/"} == packages(name) - {f"{name}/"}


@pytest.mark.parametrize("name", ["serve", "training"])
def test_the_lines_stand_in_the_order_that_imports_must_keep(name: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("containers") == [name]]
    level = {room: number for number, layer in enumerate(layers) for room in layer.split(" | ")}
    levels = [level[room.split("/")[1]] for room in rooms(name)]
    assert levels == sorted(levels)


@pytest.mark.parametrize("name", ["serve", "training", "router"])
def test_every_folder_says_in_its_docstring_what_it_holds(name: str) -> None:
    for folder in packages(name):
        text = (ROOT / folder / "__init__.py").read_text(encoding="utf-8")
        assert text.startswith('"""'), folder


def test_tests_of_a_package_lie_in_folders_of_the_same_names() -> None:
    strangers = []
    for name in ("serve", "training", "router"):
        mirror = ROOT / "tests" / f"test_{name}"
        folders = {path.parent.relative_to(mirror) for path in mirror.rglob("test_*.py")}
        strangers += [folder for folder in folders if not (ROOT / name / folder).is_dir()]
    assert strangers == []


def test_paths_on_the_page_exist() -> None:
    paths = re.findall(r"`((?:serve|training|router)/[\w/]+(?:\.py)?)", PAGE.read_text(encoding="utf-8"))
    assert len(paths) > 60
    assert [path for path in paths if not Path(ROOT, path).exists()] == []
