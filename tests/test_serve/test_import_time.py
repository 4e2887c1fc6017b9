"""Starting quickly is a feature: what `serve.app` may cost to import, and what it may not import at all."""

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow]

HEAVY = (
    "pandas",
    "torch",
    "sklearn",
    "mlflow",
    "lightgbm",
    "sentence_transformers",
    "pyarrow",
    "alembic",
    "genai_prices",
    "onnx",
)
TIMES_FASTAPI = 5.0
"""FastAPI, SQLAlchemy, onnxruntime, and the routes of the admin API and the dashboard cost about a FastAPI each."""


def seconds_to_import(module: str) -> float:
    # Processor time, so that other work on the machine does not count.
    code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(3)]
    return min(float(run.stdout) for run in runs)


def test_importing_the_gateway_costs_a_few_times_what_fastapi_costs() -> None:
    assert seconds_to_import("serve.app") < TIMES_FASTAPI * seconds_to_import("fastapi")


def test_importing_the_gateway_imports_nothing_heavy() -> None:
    code = f"import sys, serve.app; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_importing_the_command_line_is_quicker_still() -> None:
    assert seconds_to_import("serve.cli.main") < seconds_to_import("serve.app")
