"""The lanes that policies may choose: which they are, and what becomes of them when a bundle is swapped."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from fakes.derived_bundle import derive_bundle

from router.context import NO_CONSTRAINTS, Constraints
from router.lane_table import LaneTable
from serve.bundles.generation import Generation, load_generation
from serve.clock import SystemClock
from serve.lanes.assembler import LaneAssembler, choosable_lanes
from serve.lanes.directories import LaneDirectories
from serve.lanes.directory import LaneDirectory
from serve.packaged_files import models_dir
from serve.settings import load_settings

KNOWN = "openai/gpt-6-rosalind"


@pytest.fixture(scope="module")
def shipped() -> Generation:
    return load_generation(models_dir() / "llmdeal-base-2")


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    """Return a bundle that knows a model that the shipped one does not know."""
    folder = derive_bundle(tmp_path_factory.mktemp("bundles") / "newer", keeps_catalogue=True)
    manifest = json.loads((folder / "manifest.json").read_text())
    former = manifest["trained_names"][0]
    manifest["trained_names"][0] = KNOWN
    manifest["abilities"][KNOWN] = manifest["abilities"].pop(former)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return load_generation(folder)


class LastOfNovember(SystemClock):
    """The time of the machine, but always the same day: the packages' dates must not change a test."""

    def now(self) -> datetime:
        return datetime(2026, 11, 30, 12, tzinfo=UTC)


def assembler_of(generation: Generation, tmp_path: Path, toml: str = "") -> LaneAssembler:
    config = tmp_path / "llmdeal.toml"
    config.write_text(toml)
    settings = load_settings(config, {})
    environment = {"OPENAI_API_KEY": "sk-1", "XDG_CONFIG_HOME": str(tmp_path)}
    return LaneAssembler(settings, environment, generation, LastOfNovember())


def names_of(directory: LaneDirectory) -> set[str]:
    return {lane.vendor_model for lane in directory.choosable.lanes}


def test_choosable_lanes_are_the_first_ones_and_have_the_same_rows(shipped: Generation, tmp_path: Path) -> None:
    directory = assembler_of(shipped, tmp_path).of_operator().directory
    assert directory.table.lane_ids[: len(directory.choosable)] == directory.choosable.lane_ids
    assert [connection.lane.lane_id for connection in directory.connections] == list(directory.table.lane_ids)
    assert KNOWN not in names_of(directory)
    assert {lane.choice for lane in directory.choosable.lanes} == {"always", "if_known"}


def test_every_priced_model_is_choosable_if_the_settings_say_so(shipped: Generation, tmp_path: Path) -> None:
    directory = assembler_of(shipped, tmp_path, 'smart_route_lanes = "priced"\n').of_operator().directory
    assert KNOWN in names_of(directory)
    assert "openai/gpt-4" not in names_of(directory), "it is retired"


def test_a_bundle_makes_the_models_choosable_that_it_knows(newer: Generation, tmp_path: Path) -> None:
    directory = assembler_of(newer, tmp_path).of_operator().directory
    assert KNOWN in names_of(directory)
    row = directory.choosable.index_of[KNOWN]
    assert directory.choosable.quality_basis(row) == "trained"


def test_a_bundle_on_trial_is_compared_on_the_same_lanes_and_a_promoted_one_brings_its_own(
    shipped: Generation, newer: Generation, tmp_path: Path
) -> None:
    assembler = assembler_of(shipped, tmp_path)
    directory = assembler.of_operator().directory
    directories = LaneDirectories(directory)
    on_trial = assembler.arrange(directory, newer, ())
    assert on_trial.connections is directory.connections
    assert names_of(on_trial) == names_of(directory)

    row = directory.table.index_of["openai/gpt-5.5"]
    directory.health.own.note_failure(row)
    directory.quality_shifts[newer.version] = np.arange(len(directory.table), dtype=np.float64)
    promoted = assembler.arrange(directory, newer, (), directories)
    directories.swap({"default": promoted})
    assert names_of(promoted) == names_of(directory) | {KNOWN}
    new_row = promoted.table.index_of["openai/gpt-5.5"]
    assert promoted.health.vitals()[new_row].rests_for_s > 0
    assert promoted.quality_shifts[newer.version][new_row] == row
    assert assembler.arrange(promoted, newer, (), directories).connections is promoted.connections


def test_a_request_that_names_lanes_is_decided_on_all_of_them(shipped: Generation, tmp_path: Path) -> None:
    directory = assembler_of(shipped, tmp_path).of_operator().directory
    pinned_only = directory.table.lane_ids[-1]
    assert directory.open_to(NO_CONSTRAINTS)[0] is directory.choosable
    assert directory.open_to(Constraints(region="eu"))[0] is directory.choosable
    for constraints in (
        Constraints(pinned_lanes=frozenset([pinned_only])),
        Constraints(allowed_lanes=frozenset([pinned_only])),
        Constraints(readers=frozenset([pinned_only])),
    ):
        assert directory.open_to(constraints)[0] is directory.table
    readers = frozenset([pinned_only, directory.choosable.lane_ids[0]])
    assert directory.open_to(Constraints(readers=readers))[0] is directory.choosable


def test_an_account_with_models_known_only_by_class_still_gets_answers(shipped: Generation, tmp_path: Path) -> None:
    lanes = assembler_of(shipped, tmp_path).of_operator().directory.table.lanes
    by_class = [lane for lane in lanes if lane.choice == "if_known"]
    retired = [lane for lane in lanes if lane.choice == "never"]
    is_choosable, notices = choosable_lanes(LaneTable.build([*retired, *by_class], ()))
    assert is_choosable.tolist() == [False] * len(retired) + [True] * len(by_class)
    assert f"chooses from {len(by_class)} lanes" in notices[0]
    is_choosable, notices = choosable_lanes(LaneTable.build(retired, ()))
    assert is_choosable.all()
    assert notices


def test_only_lanes_that_can_answer_a_request_are_looked_at(shipped: Generation, tmp_path: Path) -> None:
    directory = assembler_of(shipped, tmp_path).of_operator().directory
    last = len(directory.table) - 1
    assert list(directory.rows_open_to(NO_CONSTRAINTS)) == list(range(len(directory.choosable)))
    assert list(directory.rows_open_to(Constraints(pinned_lanes=frozenset([directory.table.lane_ids[last]])))) == [last]
    readers = frozenset([directory.choosable.lane_ids[0]])
    assert len(list(directory.rows_open_to(Constraints(readers=readers)))) == len(directory.choosable)


def test_a_lane_is_logged_with_the_name_that_the_bundle_has_for_its_model(shipped: Generation, tmp_path: Path) -> None:
    lanes = {lane.lane_id: lane for lane in assembler_of(shipped, tmp_path).of_operator().directory.table.lanes}
    assert lanes["openai/gpt-4o"].trained_name == "gpt-4o-2024-08-06"
    assert lanes["openai/gpt-4o-mini"].trained_name == "gpt-4o-mini-2024-07-18"
    assert lanes["openai/gpt-5.5"].trained_name is None
