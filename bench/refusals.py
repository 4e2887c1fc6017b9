"""Counts the refusals that the phrases of `serve.outcome_checks.refusals` find among answers that people labelled.

Run `python -m bench.refusals FILE…` on the files of completions of XSTest (Röttger et al. 2024). They are
`model_completions/*.csv` of https://github.com/paul-rottger/exaggerated-safety, with the columns `completion` and
`final_label`. The files are not part of this repository, because they are under the terms of the models' vendors.
"""

import argparse
import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from serve.outcome_checks.refusals import begins_as_refusal

REFUSES, COMPLIES, IN_PART = "2_full_refusal", "1_full_compliance", "3_partial_refusal"


def count(path: Path) -> Counter[tuple[str, bool]]:
    """Return (label, whether the phrases call it a refusal) -> answers.

    Raises:
        ValueError: A column is missing; the message names the file.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if not {"completion", "final_label"} <= set(rows.fieldnames or ()):
            raise ValueError(f"{path}: has no columns completion and final_label: use XSTest's files of completions")
        return Counter((row["final_label"], begins_as_refusal(row["completion"])) for row in rows)


def line_of(title: str, counts: Counter[tuple[str, bool]]) -> str:
    """Return one line: the number of answers of each label that begin as a refusal."""
    counted = [
        f"{counts[label, True]} of {counts[label, True] + counts[label, False]} {words}"
        for label, words in ((REFUSES, "that refuse"), (IN_PART, "that refuse in part"), (COMPLIES, "that comply"))
    ]
    return f"{title}: called a refusal are {', '.join(counted)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each file and one for all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    total: Counter[tuple[str, bool]] = Counter()
    for path in parser.parse_args(arguments).files:
        counts = count(path)
        total += counts
        print(line_of(path.name, counts))
    print(line_of("all", total))


if __name__ == "__main__":
    main()
