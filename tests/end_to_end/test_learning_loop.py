"""The whole learning loop: requests, feedback, export and retraining.

The gateway itself promotes the bundle if the verdict allows it.
"""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from checkout import SHIPPED_BUNDLE
from fakes.gateway_thread import GatewayThread
from fakes.tiny_corpus import tiny_tables

from router.bundle import load_bundle
from router.verdict import Verdict, read_verdict

pytestmark = [pytest.mark.slow]

LLMDEAL = (sys.executable, "-c", "from serve.cli.main import run; run()")
SHIPPED_VERSION = load_bundle(SHIPPED_BUNDLE).version
# With a high value of an answer the shipped bundle takes the large lane for an easy question. Half of the time the
# gateway explores the medium one.
LARGE, MEDIUM = "sandbox/large", "sandbox/medium"
WORTH_USD = 1.0
N_REQUESTS = 1_000
PACE = 0.02
"""The large lane answers in 9 ms, the medium one in 5. Without a pace latency is only noise, and the gate guards it."""


@contextmanager
def gateway_in(folder: Path) -> Iterator[GatewayThread]:
    exploration = {"share": 0.5, "monthly_ceiling_usd": "10000", "quality_bar": 0.2}
    learning = {
        "telemetry_content": "full",
        "promotion": "gated",
        "exploration": exploration,
        "willingness_to_pay_usd": WORTH_USD,
    }
    with GatewayThread(folder, sandbox="on", sandbox_pace=PACE, seed=0, **learning) as gateway:
        yield gateway


def ask(client: httpx.Client, prompt: str, session: str) -> httpx.Response:
    body = {
        "model": "smart-route",
        "models": [LARGE, MEDIUM],
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": 5,
    }
    answer = client.post("/v1/chat/completions", json=body, headers={"x-session-id": session})
    assert answer.status_code == 200, answer.text
    return answer


def ask_and_judge(gateway: GatewayThread, prompts: list[str], *, good_lane: str) -> None:
    """Ask all of it, then say of nine in ten answers what is true of their lane."""
    with httpx.Client(base_url=gateway.url, timeout=30) as client:
        answers = [ask(client, prompts[number % len(prompts)], f"talk {number}") for number in range(N_REQUESTS)]
        for number, answer in enumerate(answers):
            is_good = (answer.headers["x-llmdeal-lane"] == good_lane) != (number % 10 == 0)
            feedback = {"request_id": answer.headers["x-llmdeal-request-id"], "thumbs": "up" if is_good else "down"}
            assert client.post("/v1/feedback", json=feedback).status_code == 202
    assert min(Counter(answer.headers["x-llmdeal-lane"] for answer in answers).values()) > 0.4 * N_REQUESTS
    gateway.attempts()  # stored, all of it


def llmdeal(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "LLMDEAL_DATABASE": str(folder / "llmdeal.db"), "COLUMNS": "200", "HOME": str(folder)}
    done = subprocess.run(
        (*LLMDEAL, *arguments), env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def retrain(folder: Path) -> tuple[Path, Verdict]:
    """Retrain from the export; the challenger comes to lie where the gateway looks."""
    where = ("--logs", str(folder / "logs"), "--champion", str(SHIPPED_BUNDLE), "--out", str(folder / "bundles"))
    llmdeal(folder, "retrain", *where, "--value", str(WORTH_USD), "--track", "none")
    [bundle] = [path.parent for path in (folder / "bundles").glob("*/manifest.json")]
    verdict = read_verdict(bundle)
    assert verdict is not None
    return bundle, verdict


@contextmanager
def asked_all_the_while(gateway: GatewayThread, prompts: list[str]) -> Iterator[None]:
    """Keep asking while the block runs, from two sides; a request that fails fails the test."""
    is_over = threading.Event()

    def keep_asking(side: int) -> int:
        n = 0
        with httpx.Client(base_url=gateway.url, timeout=30) as client:
            while not is_over.wait(0.02):
                ask(client, prompts[n % len(prompts)], f"side {side} talk {n}")
                n += 1
        return n

    with ThreadPoolExecutor(2) as pool:
        sides = [pool.submit(keep_asking, side) for side in range(2)]
        try:
            yield
        finally:
            is_over.set()
        assert min(side.result() for side in sides) > 10


def router_version(gateway: GatewayThread) -> str:
    return str(httpx.get(f"{gateway.url}/readyz", timeout=30).json()["router_version"])


def wait_for(gateway: GatewayThread, version: str) -> None:
    """Return once the gateway, which looks every second by itself, has taken a bundle up."""
    ends_at = time.monotonic() + 20
    while router_version(gateway) != version:
        assert time.monotonic() < ends_at, "the gateway did not take it up"
        time.sleep(0.1)


def lanes_of(gateway: GatewayThread, prompts: list[str]) -> Counter[str]:
    with httpx.Client(base_url=gateway.url, timeout=30) as client:
        return Counter(ask(client, prompt, f"later {prompt}").headers["x-llmdeal-lane"] for prompt in prompts)


def versions_of(gateway: GatewayThread) -> set[str]:
    """Return the bundles that decided, once all requests are known to have gone well."""
    attempts = gateway.attempts()
    assert {attempt.outcome for attempt in attempts} == {"ok"}
    return {attempt.router_version for attempt in attempts}


@pytest.fixture(scope="module")
def easy() -> list[str]:
    texts, _ = tiny_tables(80)
    return [str(prompt) for prompt in texts.prompt[::2]]


def test_a_gateway_takes_up_by_itself_what_its_logs_prove_better(tmp_path: Path, easy: list[str]) -> None:
    with gateway_in(tmp_path) as gateway:
        ask_and_judge(gateway, easy, good_lane=MEDIUM)
        llmdeal(tmp_path, "export", "--since", "1h", "--out", str(tmp_path / "logs"))
        with asked_all_the_while(gateway, easy):
            bundle, verdict = retrain(tmp_path)
            assert verdict.is_better, verdict.reasons
            assert verdict.challenger_version == load_bundle(bundle).version
            wait_for(gateway, verdict.challenger_version)
        assert lanes_of(gateway, easy)[MEDIUM] >= 0.8 * len(easy)
        assert versions_of(gateway) == {SHIPPED_VERSION, verdict.challenger_version}
    assert "auto-promote" in llmdeal(tmp_path, "bundle", "list")


def test_a_gateway_leaves_alone_what_its_logs_do_not_prove_better(tmp_path: Path, easy: list[str]) -> None:
    with gateway_in(tmp_path) as gateway:
        ask_and_judge(gateway, easy, good_lane=LARGE)  # as the champion believes
        llmdeal(tmp_path, "export", "--since", "1h", "--out", str(tmp_path / "logs"))
        with asked_all_the_while(gateway, easy):
            _, verdict = retrain(tmp_path)
            assert not verdict.is_better, verdict.reasons
            for _ in range(3):  # what it does every second
                asyncio.run_coroutine_threadsafe(gateway.resources.bundles.refresh(), gateway._loop).result(20)
        assert versions_of(gateway) == {SHIPPED_VERSION}
    assert "auto-promote" not in llmdeal(tmp_path, "bundle", "list")
