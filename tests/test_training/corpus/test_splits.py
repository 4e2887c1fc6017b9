"""Folds: near-duplicates stay together, sizes are even, and the same seed gives the same folds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.corpus.splits import assign_folds, group_near_duplicates
from training.errors import SettingsError

STORY = "A farmer has {} cows and buys {} more at the market in town. How many cows does the farmer have in the end?"
OTHER = (
    "Explain why the sky looks blue at noon and red at dusk to somebody who has never studied any physics before now."
)


def test_one_exercise_with_other_figures_is_a_near_duplicate() -> None:
    groups = group_near_duplicates([STORY.format(3, 4), OTHER, STORY.format(18, 2), OTHER])
    assert groups[0] == groups[2]
    assert groups[1] == groups[3]
    assert groups[0] != groups[1]


@given(st.lists(st.integers(0, 30), min_size=12, max_size=200), st.integers(0, 5))
def test_a_group_lies_in_one_fold(members: list[int], seed: int) -> None:
    groups = np.array(members, np.intp)
    n_folds = min(3, len(set(members)))
    fold = assign_folds(groups, n_folds, seed)
    assert all(len(set(fold[groups == group])) == 1 for group in set(members))
    assert set(fold) == set(range(n_folds))
    assert (fold == assign_folds(groups, n_folds, seed)).all()


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(SettingsError, match="2 groups of distinct prompts cannot fill 5 folds"):
        assign_folds(np.array([0, 0, 1], np.intp), 5, 0)
