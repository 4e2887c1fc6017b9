"""Many models are calibrated together: within the budget, a lane's failure is its own, and a later run goes on."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from fakes.scripted_provider import USAGE, ScriptedProvider, completion, refuse

from serve.clock import SystemClock
from serve.errors import ConfigurationError
from serve.jobs.calibrate.plan_all import Limits, plan_all, rehearse
from serve.jobs.calibrate.run_all import CommonResult, CommonRun
from serve.packaged_files import data_dir
from serve.settings import Settings
from training.question_bank.bank import solved_questions

pytestmark = pytest.mark.slow
BANK = data_dir() / "calibration" / "questions.jsonl"
SOLUTIONS = {question["prompt"]: solution for question, solution in solved_questions()}
LLMDEAL = [sys.executable, "-c", "from serve.cli.main import run; run()"]


@dataclass
class Class:
    """Answers for several models: `clever` is always right, `dull` never, `absent` is refused."""

    usage: dict[str, int] = field(default_factory=lambda: dict(USAGE))
    wait_s: float = 0.0
    n_now: int = 0
    most_at_once: int = 0

    async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        name = body["model"]
        if name == "absent":
            return await refuse(404, "no such model")(request, body)
        self.n_now += 1
        self.most_at_once = max(self.most_at_once, self.n_now)
        await asyncio.sleep(self.wait_s)
        self.n_now -= 1
        answer = completion(name, usage=self.usage)
        solution = SOLUTIONS[body["messages"][-1]["content"]]
        answer["choices"][0]["message"]["content"] = solution if name.startswith("clever") else "Answer: no idea"
        return web.json_response(answer)


@pytest.fixture
def pupils() -> Class:
    return Class()


@pytest.fixture
def provider(pupils: Class) -> Iterator[ScriptedProvider]:
    with ScriptedProvider(usually=pupils.answer) as running:
        yield running


def model(name: str, output_usd: str = "0.4", **others: object) -> dict[str, object]:
    return {"upstream_model": name, "input_usd_per_mtok": "0.1", "output_usd_per_mtok": output_usd, **others}


def settings_for(provider: ScriptedProvider, folder: Path, *models: dict[str, object]) -> Settings:
    trained = model("known", "10", trained_name="gpt-4o-2024-08-06")
    return Settings.model_validate(
        {
            "database": str(folder / "llmdeal.db"),
            "calibrations": str(folder / "calibrations"),
            "sandbox": "off",
            "servers": [{"id": "mine", "base_url": provider.base_url, "models": [*models, trained]}],
        }
    )


def run(
    settings: Settings, max_cost: str = "1", pattern: str = "", pauses_s: tuple[float, ...] = (), **limits: int
) -> CommonResult:
    return asyncio.run(_run(settings, Limits(Decimal(max_cost), **limits), pattern, pauses_s))


async def _run(settings: Settings, limits: Limits, pattern: str, pauses_s: tuple[float, ...]) -> CommonResult:
    plan = await asyncio.to_thread(plan_all, settings, {}, SystemClock(), pattern, BANK, limits)
    return await CommonRun(plan, settings, {}, SystemClock(), lambda spent: None, pauses_s).run()


def kept(folder: Path) -> dict[str, list[dict[str, Any]]]:
    files = [json.loads(path.read_text()) for path in (folder / "calibrations").glob("*.json")]
    return {file["vendor_model"]: file["answers"] for file in files}


def test_each_model_is_placed_by_its_own_answers_and_a_refused_one_stops_no_other(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    settings = settings_for(provider, tmp_path, model("clever"), model("dull"), model("absent"))
    result = run(settings, per_model=12)
    by_name = {each.subject.name: each for each in result.models}
    clever, dull, absent = (by_name[f"mine/{name}"] for name in ("clever", "dull", "absent"))
    assert clever.subject.n_new == dull.subject.n_new == 12
    assert clever.after.quality > clever.before.quality + 0.1
    assert dull.after.quality < dull.before.quality - 0.1
    assert clever.std_after < clever.std_before
    assert absent.subject.n_new == 0
    assert "404" in absent.subject.ended
    # How often it is chosen depends on the others; what is believed of it stays.
    assert replace(absent.after, chosen_share=absent.before.chosen_share) == absent.before
    assert all("mine/absent" in problem for problem in result.problems)
    answers = kept(tmp_path)
    assert {name: len(own) for name, own in answers.items()} == {"mine/clever": 12, "mine/dull": 12}
    assert {answer["score"] for answer in answers["mine/clever"]} == {1.0}
    assert {answer["score"] for answer in answers["mine/dull"]} == {0.0}
    assert max(Counter(answer["kind"] for answer in answers["mine/clever"]).values()) == 1  # kinds take turns


def test_a_run_never_costs_more_than_its_limit(pupils: Class, provider: ScriptedProvider, tmp_path: Path) -> None:
    # Every answer is as long as it may be, which is far more than is expected.
    pupils.usage = {"prompt_tokens": 400, "completion_tokens": 2_000, "total_tokens": 2_400}
    settings = settings_for(provider, tmp_path, model("clever", "60"), model("clever-too", "30"), model("dull", "90"))
    settings = settings.model_copy(update={"willingness_to_pay_usd": 5.0})  # so that no model is settled before
    result = run(settings, "1", max_tokens=2_000)
    usd = {"clever": 60, "clever-too": 30, "dull": 90}
    charged = sum((400 * 0.1 + 2_000 * usd[body["model"]]) / 1e6 for body in provider.requests)
    assert float(result.spent_usd) == pytest.approx(charged)
    assert 1 - 0.19 < charged <= 1
    assert result.is_out_of_money
    assert sum(map(len, kept(tmp_path).values())) == len(provider.requests)


def test_a_model_that_changes_no_choice_any_more_is_left_alone(provider: ScriptedProvider, tmp_path: Path) -> None:
    settings = settings_for(provider, tmp_path, model("clever"), model("dull", "30"))
    by_name = {each.subject.name: each for each in run(settings, "5").models}
    assert by_name["mine/dull"].is_settled
    assert by_name["mine/dull"].subject.n_new < 50


def test_a_later_run_goes_on_and_asks_nothing_twice(provider: ScriptedProvider, tmp_path: Path) -> None:
    settings = settings_for(provider, tmp_path, model("clever"))
    run(settings, per_model=12)
    second = run(settings, per_model=20)
    assert second.models[0].subject.n_new == 8
    assert len(kept(tmp_path)["mine/clever"]) == 20
    prompts = [body["messages"][-1]["content"] for body in provider.requests]
    assert len(prompts) == len(set(prompts)) == 20
    with pytest.raises(ConfigurationError, match="no model is worth asking: each of 1 has 20 answers"):
        run(settings, per_model=20)


def test_a_model_is_asked_on_its_next_lane_if_its_cheapest_is_refused(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    offers = [
        model("absent", "0.1", vendor_model="acme/newcomer"),
        model("clever", "0.4", vendor_model="acme/newcomer"),
    ]
    result = run(settings_for(provider, tmp_path, *offers), per_model=12)
    assert [each.subject.n_new for each in result.models] == [12]
    assert result.models[0].subject.lane.lane_id == "mine/clever"
    assert not result.models[0].subject.ended
    assert set(kept(tmp_path)) == {"acme/newcomer"}


def test_an_account_is_asked_only_so_many_questions_at_once(
    pupils: Class, provider: ScriptedProvider, tmp_path: Path
) -> None:
    pupils.wait_s = 0.02
    run(settings_for(provider, tmp_path, model("clever"), model("dull")), per_model=10, parallel=3)
    assert pupils.most_at_once == 3


def test_a_lane_that_is_limited_for_a_moment_is_asked_again(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script = [refuse(429, "slow down", headers={"retry-after": "1"})]
    result = run(settings_for(provider, tmp_path, model("clever")), per_model=10, pauses_s=(1.2,) * 6, parallel=1)
    assert result.models[0].subject.n_new == 10
    assert sum(result.problems.values()) >= 1


def test_only_models_that_match_are_asked(provider: ScriptedProvider, tmp_path: Path) -> None:
    settings = settings_for(provider, tmp_path, model("clever"), model("dull"))
    run(settings, pattern="*/dull", per_model=10)
    assert set(kept(tmp_path)) == {"mine/dull"}
    with pytest.raises(ConfigurationError, match="no model that needs calibration matches 'x/"):
        run(settings, pattern="x/*")


def test_a_budget_that_teaches_nothing_is_refused(provider: ScriptedProvider, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"costs more than a quarter of 0\.0001 USD"):
        run(settings_for(provider, tmp_path, model("clever", "600")), "0.0001")
    assert not provider.requests


def test_a_rehearsal_sends_nothing_and_names_the_highest_cost(provider: ScriptedProvider, tmp_path: Path) -> None:
    settings = settings_for(provider, tmp_path, model("clever"), model("dull", "4"))
    plan = plan_all(settings, {}, SystemClock(), "", BANK, Limits(Decimal(1), per_model=10))
    planned = rehearse(plan)
    assert not provider.requests
    assert not (tmp_path / "calibrations").exists()
    assert [each.n_questions for each in planned] == [10, 10]
    for each in planned:
        assert 0 < each.expected_usd < each.most_usd
        assert each.std_after < each.std_before
    usd = {each.subject.name: each.most_usd for each in planned}
    assert 9 < usd["mine/dull"] / usd["mine/clever"] < 11


def command(folder: Path, provider: ScriptedProvider, *arguments: str) -> "subprocess.Popen[str]":
    """Start `llmdeal calibrate --all` with the models of this file."""
    (folder / "llmdeal.toml").write_text(
        f"""
database = {str(folder / "llmdeal.db")!r}
calibrations = {str(folder / "calibrations")!r}
sandbox = "off"

[[servers]]
id = "mine"
base_url = "{provider.base_url}"

[[servers.models]]
upstream_model = "clever"
input_usd_per_mtok = "0.1"
output_usd_per_mtok = "0.4"

[[servers.models]]
upstream_model = "absent"
input_usd_per_mtok = "0.1"
output_usd_per_mtok = "0.4"
"""
    )
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config"), "COLUMNS": "160"}
    return subprocess.Popen(
        [*LLMDEAL, "calibrate", "--all", "--config", str(folder / "llmdeal.toml"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=folder,
    )


def test_the_command_shows_what_was_learned(provider: ScriptedProvider, tmp_path: Path) -> None:
    planned, _ = command(tmp_path, provider, "--max-cost", "2", "--questions", "10", "--dry-run").communicate(
        timeout=60
    )
    assert "20 questions for about" in planned
    assert "Nothing was asked" in planned
    assert re.search(r"cost at most 0\.\d+ USD, and the run ends before it costs more than 2\.0 USD", planned)
    assert not provider.requests
    shown, _ = command(tmp_path, provider, "--max-cost", "2", "--questions", "10").communicate(timeout=60)
    assert re.search(r"mine/clever\s+│ 10 \(\+10\)\s+│ 0\.0000 │ 0\.\d+ → 0\.\d+\s+│ ±\d\.\d+ → ±\d\.\d+", shown), shown
    assert "stopped: every attempted lane failed" in shown
    assert "10 answers, 0.0000" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_an_interrupted_run_keeps_every_answer_and_the_next_one_goes_on(
    pupils: Class, provider: ScriptedProvider, tmp_path: Path
) -> None:
    pupils.wait_s = 0.1
    process = command(tmp_path, provider, "--max-cost", "2")
    asked = threading.Event()
    while len(kept(tmp_path).get("mine/clever", [])) < 6 and process.poll() is None:
        asked.wait(0.05)
    process.send_signal(signal.SIGINT)
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == 0, shown
    answers = kept(tmp_path)["mine/clever"]
    assert 6 <= len(answers) < 50
    assert len([body for body in provider.requests if body["model"] == "clever"]) == len(answers)
    assert f"{len(answers)} answers" in shown
    pupils.wait_s = 0.0
    again, _ = command(tmp_path, provider, "--max-cost", "2").communicate(timeout=60)
    n_answers = len(kept(tmp_path)["mine/clever"])
    assert n_answers > len(answers) + 10
    assert f"{n_answers} (+{n_answers - len(answers)})" in again
    prompts = [body["messages"][-1]["content"] for body in provider.requests if body["model"] == "clever"]
    assert len(prompts) == len(set(prompts)) == n_answers
