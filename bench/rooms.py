"""Counts what docs/architecture.md says of the code's structure.

Run as `python -m bench.rooms [FOLDER]`, where FOLDER is a checkout, by default this one. It reads files and imports
nothing. A room is a module or package at the top level of `serve/` or `training/`.
"""

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOTS: Final = ("serve", "training")
CODE: Final = ("router", "serve", "training", "bench", "tests")
PROSE_KINDS: Final = frozenset({".py", ".md", ".toml", ".html", ".css", ".js", ".j2", ".yaml"})
LONGEST_LINE: Final = 120

Graph = dict[str, set[str]]


def imports_between_rooms(checkout: Path, root: str) -> Graph:
    """Return room -> rooms that it imports, within one package."""
    modules = {module_name(path, checkout) for path in (checkout / root).rglob("*.py")}
    graph: Graph = {}
    for path in (checkout / root).rglob("*.py"):
        room = _room(module_name(path, checkout))
        if not room:
            continue
        imported = graph.setdefault(room, set())
        imported |= {_room(name) for name in _imported_modules(path, modules)} - {room, ""}
    return graph


def module_name(path: Path, checkout: Path) -> str:
    """Return the dotted name of the module in this file."""
    return ".".join(path.relative_to(checkout).with_suffix("").parts).removesuffix(".__init__")


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _imported_modules(path: Path, modules: set[str]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in modules else node.module for name in names if node.module in modules)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)


def rooms_in_knots(graph: Graph) -> int:
    """Return how many rooms can reach themselves through other rooms."""
    reachable = {room: set(imported) for room, imported in graph.items()}
    for middle in graph:
        for reached in reachable.values():
            if middle in reached:
                reached |= reachable[middle]
    return sum(room in reached for room, reached in reachable.items())


def imports_upwards(graph: Graph) -> int:
    """Return how many imports run upwards in a good order of the rooms (Eades, Lin and Smyth 1993, a greedy rule)."""
    above: Graph = defaultdict(set)
    for room, imported in graph.items():
        for lower in imported:
            above[lower].add(room)
    rest, top, bottom = set(graph), [], []
    while rest:
        sinks = [room for room in sorted(rest) if not graph[room] & rest]
        sources = [room for room in sorted(rest) if not above[room] & rest]
        if sinks:
            bottom.append(sinks[0])
            rest.remove(sinks[0])
        elif sources:
            top.append(sources[0])
            rest.remove(sources[0])
        else:
            best = max(sorted(rest), key=lambda room: len(graph[room] & rest) - len(above[room] & rest))
            top.append(best)
            rest.remove(best)
    level = {room: number for number, room in enumerate([*top, *reversed(bottom)])}
    return sum(level[lower] < level[room] for room, imported in graph.items() for lower in imported)


def longest_function(checkout: Path) -> tuple[int, str]:
    """Return (lines, name) of the longest function of the three packages, migrations left out: they list tables."""
    return max(
        ((node.end_lineno or 0) - node.lineno + 1, f"{module_name(path, checkout)}.{node.name}")
        for root in ("router", "serve", "training")
        for path in (checkout / root).rglob("*.py")
        if "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def long_lines(checkout: Path) -> int:
    """Return how many lines of code and prose are longer than 120 characters; recorded bodies do not count."""
    folders = (*CODE, "docs", "data", "notebooks")
    files = [path for folder in folders for path in (checkout / folder).rglob("*")] + list(checkout.glob("*"))
    lines = (
        line
        for path in files
        if path.suffix in PROSE_KINDS and path.is_file() and "fixtures" not in path.parts
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    return sum(len(line) > LONGEST_LINE for line in lines)


def main() -> None:
    """Print the figures of a checkout, one a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", nargs="?", type=Path, default=Path(__file__).parents[1])
    checkout = parser.parse_args().checkout
    for root in ROOTS:
        graph = imports_between_rooms(checkout, root)
        n_imports = sum(map(len, graph.values()))
        print(f"{root}: {len(graph)} rooms, {n_imports} imports between them, {imports_upwards(graph)} upwards")
        print(f"{root}: {rooms_in_knots(graph)} rooms in knots")
    lines, name = longest_function(checkout)
    print(f"longest function: {lines} lines, {name}")
    print(f"lines over {LONGEST_LINE} columns: {long_lines(checkout)}")


if __name__ == "__main__":
    main()
