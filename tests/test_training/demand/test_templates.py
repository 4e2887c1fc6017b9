"""Prompts composed from templates have lengths that follow from what they ask for."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from checkout import ROOT

from training.demand.graded_work import read_demands
from training.demand.templates import TEMPLATES_FILE, compose_prompts
from training.errors import CorpusError

SHIPPED = ROOT / "data" / "demands" / TEMPLATES_FILE
GOOD = {
    "kind": "essay",
    "base": 10,
    "per": {"words": 1.5},
    "spread": [0.5, 2],
    "reasoning": 1,
    "small_ok": 0.5,
    "frontier_ok": 0.9,
    "n": 6,
    "prompts": ["{words} words on {topic}", "{topic}, in {words} words"],
}
CONTENT = {
    "slots": {"words": [100, 200, 400], "topic": ["bees", "tides"]},
    "passages": {"en": ["One.", "Two."]},
    "templates": [GOOD],
}


def write_templates(folder: Path, **changes: object) -> Path:
    path = folder / TEMPLATES_FILE
    path.write_text(yaml.safe_dump({**CONTENT, "templates": [{**GOOD, **changes}]}))
    return path


def test_a_stated_number_of_words_sets_the_length(tmp_path: Path) -> None:
    composed = compose_prompts(write_templates(tmp_path))
    assert len(composed) > 1
    for example in composed:
        words = int(re.findall(r"\d+", example.prompt)[0])
        assert example.visible_tokens == pytest.approx((5 + 0.75 * words, 10 + 1.5 * words, 20 + 3 * words))


def test_a_text_sets_the_length_of_its_translation(tmp_path: Path) -> None:
    passages = [f"{'word ' * n}end." for n in (10, 40, 160)]
    path = write_templates(tmp_path, prompts=["Translate: {text_en}"], per={"text_en": 1.0}, base=0, n=12)
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "passages": {"en": passages}}))
    composed = compose_prompts(path)
    characters = [len(example.prompt) - len("Translate: ") for example in composed]
    typical = [example.visible_tokens[1] for example in composed]
    assert len(set(characters)) > 2
    assert np.corrcoef(characters, typical)[0, 1] > 0.999


def test_the_same_seed_composes_the_same_prompts_and_each_once() -> None:
    composed = compose_prompts(SHIPPED)
    assert composed == compose_prompts(SHIPPED)
    assert composed != compose_prompts(SHIPPED, seed=1)
    assert len({example.prompt for example in composed}) == len(composed) > 1_500


def test_shipped_templates_are_in_range_and_leave_no_slot_open() -> None:
    for example in compose_prompts(SHIPPED):
        low, typical, high = example.visible_tokens
        assert 1 <= low <= typical <= high <= 10_000
        assert 0 < example.small_ok <= example.frontier_ok < 1
        assert not re.search(r"\{[a-z_]+\}", example.prompt), example.prompt


def test_what_is_written_by_hand_stands_instead_of_what_is_composed(tmp_path: Path) -> None:
    (composed, *_) = compose_prompts(write_templates(tmp_path))
    line = (
        f'{{"id": "a", "kind": "essay", "language": "en", "prompt": "{composed.prompt}", "visible_tokens": [1, 2, 3], '
        '"reasoning": 0, "small_ok": 0.5, "frontier_ok": 0.9}'
    )
    (tmp_path / "part.jsonl").write_text(line + "\n")
    examples = read_demands(tmp_path)
    (place,) = [number for number, prompt in enumerate(examples.prompts) if prompt == composed.prompt]
    assert examples.visible[place].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "changes",
    [{"prompts": ["{nothing}"]}, {"spread": [1]}, {"n": "many"}, {"reasoning": "much"}, {"prompts": []}],
    ids=["unknown slot", "half a spread", "no number", "no class", "no wording"],
)
def test_a_malformed_template_is_named(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(CorpusError, match="template 1 is malformed"):
        compose_prompts(write_templates(tmp_path, **changes))


def test_a_file_without_templates_is_refused(tmp_path: Path) -> None:
    path = tmp_path / TEMPLATES_FILE
    path.write_text("slots: {}\n")
    with pytest.raises(CorpusError, match="cannot be read"):
        compose_prompts(path)
