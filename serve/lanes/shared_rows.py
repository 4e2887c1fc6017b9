"""Rows of a table of lanes that have something in common."""

from collections import defaultdict
from collections.abc import Hashable, Sequence


def rows_that_share(names: Sequence[Hashable]) -> list[list[int]]:
    """Return for every row the rows with the same name, its own included, in ascending order."""
    rows: dict[Hashable, list[int]] = defaultdict(list)
    for row, name in enumerate(names):
        rows[name].append(row)
    return [rows[name] for name in names]
