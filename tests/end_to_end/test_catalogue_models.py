"""A gateway whose bundle has catalogue models: it routes by their rows, says what they rest on, and holds for them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fakes.catalogue import Row, catalogue_of
from fakes.derived_bundle import derive_bundle
from fakes.gateway_thread import GatewayThread
from fakes.scripted_provider import ScriptedProvider

from serve.bundles.calibration_file import FORMAT_VERSION, CalibrationAnswer, CalibrationFile, write_calibration
from serve.clock import SystemClock

ROWS = (
    Row("acme/thinker", 4.0, 0.3, visible=300, reasoning=2_000, basis="own_grades", n=1_204),
    Row("acme/thinker@low", 1.0, 0.3, visible=300, reasoning=100, basis="own_grades", n=40),
    Row("acme/plain", 0.5, 0.5, visible=200, reasoning=0.05, basis="published_scores", n=6),
)
SERVED = [
    {
        "upstream_model": "t",
        "vendor_model": "acme/thinker",
        "input_usd_per_mtok": "1",
        "output_usd_per_mtok": "5",
        "efforts": ["low", "high"],
    },
    {"upstream_model": "p", "vendor_model": "acme/plain", "input_usd_per_mtok": "0.1", "output_usd_per_mtok": "0.4"},
    {"upstream_model": "n", "vendor_model": "acme/new", "input_usd_per_mtok": "0.1", "output_usd_per_mtok": "0.4"},
]
BODY: dict[str, Any] = {"model": "smart-route", "messages": [{"role": "user", "content": "Write a short poem."}]}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return derive_bundle(tmp_path_factory.mktemp("bundles") / "listed", catalogue=catalogue_of(ROWS))


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture
def gateway(bundle: Path, provider: ScriptedProvider, tmp_path: Path) -> Iterator[GatewayThread]:
    servers = [{"id": "mine", "base_url": provider.base_url, "models": SERVED}]
    with GatewayThread(tmp_path, servers=servers, bundle=str(bundle)) as running:
        yield running


def candidates_of(gateway: GatewayThread, **fields: Any) -> dict[str, Any]:
    answer = httpx.post(f"{gateway.url}/v1/route", json=BODY | fields)
    assert answer.status_code == 200, answer.text
    return {
        candidate["model"] + ("" if candidate["effort"] is None else f"@{candidate['effort']}"): candidate
        for candidate in answer.json()["candidates"]
    }


def test_a_listed_model_shows_its_basis_and_its_reasoning_tokens(gateway: GatewayThread) -> None:
    candidates = candidates_of(gateway)
    thinker, plain, new = (candidates[f"acme/{name}"] for name in ("thinker", "plain", "new"))
    assert (thinker["quality_basis"], thinker["quality_basis_text"]) == ("own_grades", "own grades (1,204 answers)")
    assert thinker["sharpen_with"] is None
    assert thinker["reasoning_tokens"] == round(2_000 * np.exp(0.125))
    assert thinker["completion_tokens"] == round(2_300 * np.exp(0.125))
    assert thinker["quality"] > 0.97
    assert (plain["quality_basis_text"], plain["reasoning_tokens"]) == ("published scores (6)", 0)
    assert plain["sharpen_with"] == "llmdeal calibrate acme/plain"
    assert (new["quality_basis"], new["sharpen_with"]) == ("prior", "llmdeal calibrate acme/new")
    per_token = thinker["cost_usd"] / (thinker["completion_tokens"] * 5e-6)
    assert per_token == pytest.approx(1, rel=0.01)  # reasoning is paid like the answer


def test_an_effort_that_is_listed_has_a_lane_and_a_row_of_its_own(gateway: GatewayThread) -> None:
    candidates = candidates_of(gateway)
    assert set(candidates) == {"acme/thinker", "acme/thinker@low", "acme/plain", "acme/new"}  # "high" is not listed
    low = candidates["acme/thinker@low"]
    assert low["excluded_by"] is None
    assert (low["reasoning_tokens"], low["quality_basis_text"]) == (
        round(100 * np.exp(0.125)),
        "own grades (40 answers)",
    )
    assert low["quality"] < candidates["acme/thinker"]["quality"]
    pinned = httpx.post(f"{gateway.url}/v1/chat/completions", json=BODY | {"model": "acme/thinker:low"})
    assert pinned.status_code == 200


def test_the_callers_limit_caps_reasoning_too(gateway: GatewayThread) -> None:
    thinker = candidates_of(gateway, max_tokens=500)["acme/thinker"]
    assert (thinker["completion_tokens"], thinker["reasoning_tokens"]) == (500, 500)


LIMITS = {
    "chat/completions": ("max_tokens", "max_completion_tokens"),
    "responses": ("max_output_tokens",),
    "messages": ("max_tokens",),
}


@pytest.mark.parametrize(("door", "field"), [(door, field) for door, fields in LIMITS.items() for field in fields])
def test_a_small_limit_is_answered_by_a_lane_whose_reasoning_fits(
    gateway: GatewayThread, door: str, field: str
) -> None:
    words: dict[str, Any] = {"input": "Write a short poem."} if door == "responses" else {"messages": BODY["messages"]}
    lanes = {}
    for limit in (150, 2_000):
        body = {"model": "smart-route", "route": {"quality": 0.7}, field: limit, **words}
        answer = httpx.post(f"{gateway.url}/v1/{door}", json=body)
        assert answer.status_code == 200, answer.text
        lanes[limit] = answer.headers["x-llmdeal-lane"]
    assert lanes == {150: "mine/p", 2_000: "mine/t:low"}


def test_explain_shows_the_chance_that_reasoning_leaves_room(gateway: GatewayThread) -> None:
    free, limited = candidates_of(gateway), candidates_of(gateway, max_tokens=400)
    assert {candidate["room"] for candidate in free.values()} == {None}
    thinker, low, plain = (limited[f"acme/{name}"] for name in ("thinker", "thinker@low", "plain"))
    assert thinker["room"] < 0.001 < 0.5 < low["room"] < plain["room"]
    for name, candidate in limited.items():
        assert candidate["quality"] == pytest.approx(free[name]["quality"] * candidate["room"], rel=1e-4)


def test_models_and_pages_say_what_a_lane_rests_on(gateway: GatewayThread) -> None:
    models = {model["id"]: model for model in httpx.get(f"{gateway.url}/v1/models").json()["data"]}
    [lane] = models["acme/plain"]["lanes"]
    assert (lane["quality_basis"], lane["quality_basis_text"]) == ("published_scores", "published scores (6)")
    lanes = httpx.get(f"{gateway.url}/lanes").text
    assert "own grades (1,204 answers)" in lanes
    assert "make it surer with llmdeal calibrate acme/plain" in lanes
    assert "vectors" not in lanes
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=BODY)
    assert answer.status_code == 200
    page = httpx.get(f"{gateway.url}/requests/{answer.headers['x-llmdeal-request-id']}")
    assert page.status_code == 200
    assert "own grades (1,204 answers)" in page.text


def test_a_hold_covers_a_long_answer_of_the_lane_and_is_the_limit_if_there_is_one(
    bundle: Path, provider: ScriptedProvider, tmp_path: Path
) -> None:
    high_usd = 2_300 * np.exp(1.645 * 0.5) * 5e-6
    guess_usd = 4_096 * 5e-6
    budget = f"{(high_usd + guess_usd) / 2:.6f}"  # enough for the guess without beliefs, too little for a long answer
    servers = [{"id": "mine", "base_url": provider.base_url, "models": SERVED}]
    with GatewayThread(tmp_path, servers=servers, bundle=str(bundle), monthly_budget_usd=budget) as gateway:
        url = f"{gateway.url}/v1/chat/completions"
        refused = httpx.post(url, json=BODY | {"model": "acme/thinker"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "budget_spent")
        assert httpx.post(url, json=BODY | {"model": "acme/thinker", "max_tokens": 1_000}).status_code == 200
        assert httpx.post(url, json=BODY | {"model": "acme/plain"}).status_code == 200


def test_a_calibrated_model_is_moved_for_all_kinds_of_work(
    bundle: Path, provider: ScriptedProvider, tmp_path: Path
) -> None:
    questions = [f"What is {number} * {number + 6}?" for number in range(30)]
    answers = tuple(
        CalibrationAnswer(str(place), "number", question, 0.0, 300) for place, question in enumerate(questions)
    )
    calibration = CalibrationFile(FORMAT_VERSION, "acme/thinker", "mine/t", SystemClock().now(), answers)
    write_calibration(tmp_path / "calibrations", calibration)
    servers = [{"id": "mine", "base_url": provider.base_url, "models": SERVED}]
    settings = {"servers": servers, "bundle": str(bundle), "calibrations": str(tmp_path / "calibrations")}
    with GatewayThread(tmp_path, **settings) as gateway:
        thinker = candidates_of(gateway)["acme/thinker"]
        table = gateway.resources.routing.directory.table
    assert thinker["quality_basis_text"].startswith("own grades (30 answers, ")
    placement = table.lanes[table.index_of["mine/t"]].prior
    assert placement is not None
    assert placement.placement is not None
    assert placement.placement.shift < -1  # it failed questions that its row had promised
    assert thinker["quality"] < 0.97
