"""Which model a lane of the logs has: one that the champion knows, or a new one. Each effort is a model of its own."""

from datetime import timedelta
from pathlib import Path

from telemetry_strategies import NOON, attempt_row

from router.telemetry_schema import LaneRow
from serve.storage.database import open_database
from serve.telemetry.attempt_repository import AttemptRepository
from serve.telemetry.export.export import export_telemetry
from serve.telemetry.priced_lane_repository import PricedLaneRepository
from training.retrain.lane_models import find_lane_models

LANE_IDS = ("lab/m", "lab/m:high", "lab/m:low")
TRAINED_NAMES = (None, "maker/m@high", "maker/m@low")


def test_a_lane_with_an_effort_is_a_model_of_its_own(tmp_path: Path) -> None:
    engine = open_database(str(tmp_path / "telemetry.db"))
    noted = [
        LaneRow(
            price_snapshot_id="prices",
            lane_id=lane_id,
            provider="lab",
            upstream_model="m",
            vendor_model="maker/m",
            trained_name=trained_name,
            input_usd_per_mtok=1.0,
            output_usd_per_mtok=4.0,
            ability=ability,
            ability_std=0.5,
            noted_at=NOON,
            effort=lane_id.partition(":")[2] or None,
        )
        for lane_id, trained_name, ability in zip(LANE_IDS, TRAINED_NAMES, (1.0, 2.0, 3.0), strict=True)
    ]
    PricedLaneRepository(engine).put(noted)
    answers = [
        attempt_row(number, lane_id=lane_id, vendor_model="maker/m", price_snapshot_id="prices")
        for number, lane_id in enumerate(LANE_IDS)
    ]
    AttemptRepository(engine).insert_many(answers)
    export_telemetry(engine, NOON - timedelta(days=1), NOON + timedelta(days=1), tmp_path / "out")
    engine.dispose()

    models = find_lane_models(tmp_path / "out", LANE_IDS, TRAINED_NAMES, ("maker/m@high",))

    assert models.names == ("maker/m@high", "maker/m", "maker/m@low")
    assert models.of_lane.tolist() == [1, 0, 2]
    assert models.noted_abilities == ((1.0, 0.5), (3.0, 0.5))
    assert set(models.vendor_models) == {"maker/m"}
