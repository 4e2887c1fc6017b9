"""Measures the time and the peak memory of `llmdeal retrain` on many logged requests.

Run `python -m bench.retrain [--requests 1000000] [--folder DIR]`. The export is invented, in the gateway's own schema:

- 20 lanes with models of the shipped bundle; some are better or worse than it believes,
- a share of the requests has text, and a share has feedback.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.logged_traffic import LoggedTraffic, write_export
from bench.processes import family_rss_mb
from bench.prompts import prompt
from router.context import RouteContext
from serve.bundles.choice import bundle_folder
from training.network.encoding import encode_prompts
from training.retrain.challenger import beliefs_of
from training.retrain.champion import Champion, read_champion

N_LANES = 20
_TEXTS = 10_000
_PART = 50_000
_START_US = 1_780_000_000_000_000
_EXPLORED = 0.2


def make_export(folder: Path, n_requests: int, text_share: float, feedback: float, seed: int) -> Path:
    """Write the export; return its folder."""
    champion = read_champion(bundle_folder(""))
    random = np.random.default_rng(seed)
    return write_export(folder, _parts(champion, n_requests, text_share, feedback, random))


def _parts(
    champion: Champion, n_requests: int, text_share: float, feedback: float, random: np.random.Generator
) -> Iterator[LoggedTraffic]:
    columns = np.linspace(0, champion.parts.n_models - 1, N_LANES).astype(int)
    names = tuple(champion.trained_names[column] for column in columns)
    texts = [prompt(number, int(words)) for number, words in enumerate(random.integers(20, 400, _TEXTS))]
    encoded = encode_prompts([RouteContext.from_prompt(text) for text in texts], champion.parts.table)
    beliefs = beliefs_of(champion.parts, champion.parts.scaler.transform(encoded))
    quality, tokens = beliefs.quality[:, columns], beliefs.completion_tokens[:, columns]
    abilities = np.array([champion.bundle.abilities[name] for name in names])
    usd_per_token = 3e-7 * np.exp(abilities)
    shift = random.normal(0, 0.8, N_LANES)  # the champion does not know this shift
    for start in range(0, n_requests, _PART):
        n = min(_PART, n_requests - start)
        drawn, rows = random.integers(0, _TEXTS, n), np.arange(n)
        believed, expected = quality[drawn].astype(np.float64), tokens[drawn].astype(np.float64)
        cost = expected * usd_per_token
        best = (0.02 * believed - cost).argmax(axis=1)
        probability = np.full((n, N_LANES), _EXPLORED / N_LANES)
        probability[rows, best] += 1 - _EXPLORED
        chosen = (probability.cumsum(axis=1) > random.random((n, 1))).argmax(axis=1)
        log_odds = np.log(believed / (1 - believed))[rows, chosen] + shift[chosen]
        score = (random.random(n) < 1 / (1 + np.exp(-log_odds))).astype(np.float64)
        answer = np.maximum(expected[rows, chosen] * random.lognormal(-0.1, 0.5, n), 1)
        is_kept = random.random(n) < text_share
        yield LoggedTraffic(
            names=names,
            router_version=champion.bundle.version,
            started_at=_START_US + (start + rows) * 2_000_000,
            conversation=(start + rows) // 2,
            prompts=[texts[text] if kept else None for text, kept in zip(drawn, is_kept, strict=True)],
            features=encoded.features[drawn],
            prompt_tokens=np.array([len(texts[text]) // 4 for text in drawn]),
            quality=quality[drawn],
            completion_tokens=tokens[drawn],
            cost_usd=cost,
            probability=probability,
            chosen=chosen,
            reward=np.where(random.random(n) < feedback, score, np.nan),
            answer_tokens=answer,
            paid_usd=answer * usd_per_token[chosen],
        )


def run_retraining(logs: Path, out: Path, extra: list[str]) -> tuple[int, float, float]:
    """Run the command; return (exit status, seconds, peak MB of its process and children together)."""
    code = "import typer; from training.retrain.command import retrain; typer.run(retrain)"
    arguments = ["--logs", str(logs), "--champion", str(bundle_folder("")), "--out", str(out), *extra]
    began, most_mb = time.monotonic(), 0.0
    with subprocess.Popen([sys.executable, "-c", code, *arguments]) as process:
        while process.poll() is None:
            most_mb = max(most_mb, family_rss_mb(process.pid))
            time.sleep(0.2)
    return process.returncode, time.monotonic() - began, most_mb


def main() -> None:
    """Write the export, retrain, and print time and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--text-share", type=float, default=0.3, help="share of the requests with text")
    parser.add_argument("--feedback", type=float, default=0.2, help="share of the requests with feedback")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="folder to work in; by default a temporary one")
    parser.add_argument("--pass", dest="extra", action="append", default=[], help="an argument for llmdeal retrain")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        began = time.monotonic()
        logs = make_export(folder / "logs", options.requests, options.text_share, options.feedback, options.seed)
        size_mb = sum(path.stat().st_size for path in logs.rglob("*.parquet")) / 1e6
        print(
            f"Wrote {options.requests:,} requests between {N_LANES} lanes, {size_mb:,.0f} MB, "
            f"in {time.monotonic() - began:.0f} s"
        )
        status, seconds, most_mb = run_retraining(logs, folder / "bundles", options.extra)
    print(f"{options.requests:,} requests: {seconds:.0f} s, at most {most_mb:,.0f} MB, exit status {status}")


if __name__ == "__main__":
    main()
