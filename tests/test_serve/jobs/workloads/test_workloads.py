"""The cost breakdown: every offer is priced, and equal quality is equal quality."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from checkout import ROOT

from router.bundle import load_bundle
from serve.bundles.choice import bundle_folder
from serve.catalogue.packaged_prices import PackagedPrices
from serve.jobs.workloads.breakdown import WorkloadBreakdown, break_down
from serve.jobs.workloads.workload_rows import WorkloadFile, load_workloads
from serve.packaged_files import data_dir

PRICES = PackagedPrices(datetime(2026, 11, 23, tzinfo=UTC))


@pytest.fixture(scope="module")
def file() -> WorkloadFile:
    return load_workloads(data_dir() / "workloads.yaml")


@pytest.fixture(scope="module")
def breakdowns(file: WorkloadFile) -> list[WorkloadBreakdown]:
    return break_down(load_bundle(bundle_folder("")), file, PRICES)


def test_every_offer_has_a_price_and_every_name_is_in_the_bundle(file: WorkloadFile) -> None:
    trained = load_bundle(bundle_folder("")).trained_names
    for name, places in file.graded_offers.items():
        assert name in trained
        for provider, model_id in places.items():
            assert PRICES.price_of(provider, model_id) is not None, (provider, model_id)


def test_there_are_four_workloads_with_several_providers(breakdowns: list[WorkloadBreakdown]) -> None:
    assert [breakdown.row.name for breakdown in breakdowns] == [
        "chat support",
        "code assistant",
        "batch extraction",
        "maths tutor",
    ]
    for breakdown in breakdowns:
        assert breakdown.prompts > 200
        assert len(breakdown.providers) >= 2


def test_routing_reaches_the_providers_quality_and_does_not_cost_more_than_the_best_of_them(
    breakdowns: list[WorkloadBreakdown],
) -> None:
    for breakdown in breakdowns:
        for row in breakdown.providers:
            if row.routed_usd is not None and row.routed_score is not None:
                assert row.routed_score >= row.score - 1e-9
    savings = [
        1 - row.routed_usd / row.cost_usd for each in breakdowns for row in each.providers if row.routed_usd is not None
    ]
    assert sum(savings) / len(savings) > 0.2


@pytest.mark.slow
def test_the_command_prints_and_writes_every_workload(tmp_path: Path) -> None:
    root = ROOT
    shown = subprocess.run(
        [sys.executable, "-c", "from serve.cli.main import run; run()", "workloads", "--markdown", "breakdown.md"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(root), "COLUMNS": "140"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    for name in ("chat support", "code assistant", "batch extraction", "maths tutor"):
        assert name in shown.stdout
        assert f"### {name.capitalize()}" in (tmp_path / "breakdown.md").read_text()
