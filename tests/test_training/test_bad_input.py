"""Bad corpora, prompts and places: one line that names the file, the row and the mend, and nothing left behind."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from fakes.tiny_corpus import tiny_tables, write_corpus

from training.corpus.graded_corpus import read_corpus, read_prices, read_prompts
from training.errors import CorpusError, SettingsError, TrainingError
from training.train import train_bundle

Spoil = Callable[[pd.DataFrame, pd.DataFrame], object]


def _set(table: pd.DataFrame, row: int, column: str, value: object) -> None:
    table[column] = table[column].astype(object)
    table.loc[row, column] = value


CASES: list[tuple[str, Spoil, str]] = [
    ("missing column", lambda p, r: p.pop("prompt"), "column 'prompt' is missing"),
    ("missing response column", lambda p, r: r.pop("score"), "column 'score' is missing"),
    ("score above one", lambda p, r: r.__setitem__("score", r["score"] + 0.5), "outside 0..1"),
    ("negative tokens", lambda p, r: r.__setitem__("completion_tokens", -1.0), "row 0: completion_tokens is -1.0"),
    ("score is text", lambda p, r: r.__setitem__("score", "good"), "not numbers"),
    ("blank prompt", lambda p, r: _set(p, 3, "prompt", "  \n"), "row 3: a prompt must not be empty"),
    ("prompt is a number", lambda p, r: _set(p, 4, "prompt", None), "row 4: a prompt must be text"),
    (
        "huge prompt",
        lambda p, r: _set(p, 5, "prompt", "x" * 1_000_001),
        "row 5: a prompt may have 1,000,000 characters",
    ),
    ("repeated prompt id", lambda p, r: _set(p, 7, "prompt_id", "p0000"), "row 7: prompt_id 'p0000' occurs twice"),
    ("unknown prompt id", lambda p, r: _set(r, 2, "prompt_id", "elsewhere"), "row 2: prompt_id 'elsewhere' is not in"),
    (
        "answered twice",
        lambda p, r: _set(r, 1, "model", r["model"][0]),
        "row 1: model 'acme-strong' answers prompt 'p0000' twice",
    ),
]


@pytest.mark.parametrize(("spoil", "complaint"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_spoilt_corpus_is_refused_by_file_and_row(spoil: Spoil, complaint: str, tmp_path: Path) -> None:
    prompts, responses = tiny_tables(40)
    spoil(prompts, responses)
    folder = write_corpus(tmp_path / "corpus", prompts, responses)
    with pytest.raises(CorpusError) as refused:
        read_corpus(folder)
    assert complaint in str(refused.value)
    assert ".parquet" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path, *tiny_tables(40))
    (folder / "responses.parquet").write_bytes(b"not parquet")
    with pytest.raises(CorpusError, match=r"responses\.parquet: is not readable as Parquet"):
        read_corpus(folder)


def test_too_few_prompts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="12 prompts are too few"):
        read_corpus(write_corpus(tmp_path, *tiny_tables(12)))


def test_a_negative_price_is_named_by_row(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("model,input_usd_per_mtok,output_usd_per_mtok\na,1,2\nb,-1,2\n")
    with pytest.raises(CorpusError, match="row 1: a price is not a number of at least 0"):
        read_prices(tmp_path / "prices.csv", ["a", "b"])


def test_a_prompts_file_needs_only_ids_and_texts(tmp_path: Path) -> None:
    pd.DataFrame({"prompt_id": ["a", "b"], "prompt": ["one", "two"]}).to_parquet(tmp_path / "p.parquet")
    assert read_prompts(tmp_path / "p.parquet") == (("a", "b"), ("one", "two"))


class _NoProgress:
    def stage(self, title: str, total: float | None) -> object:
        raise AssertionError("nothing may start before the place was checked")


@pytest.mark.parametrize("unknown", [None, float("nan")])
def test_token_counts_that_are_all_unknown_are_read(unknown: float | None, tmp_path: Path) -> None:
    prompts, responses = tiny_tables(40)
    responses["completion_tokens"] = pd.Series([unknown] * len(responses), dtype=object)
    corpus = read_corpus(write_corpus(tmp_path, prompts, responses))
    assert pd.isna(corpus.completion_tokens).all()


def test_a_column_that_pandas_keeps_as_the_index_is_a_column(tmp_path: Path) -> None:
    prompts, responses = tiny_tables(40)
    corpus = read_corpus(write_corpus(tmp_path / "plain", prompts, responses))
    indexed = write_corpus(tmp_path / "indexed", prompts.set_index("prompt_id"), responses.set_index("model"))
    assert read_corpus(indexed).prompt_ids == corpus.prompt_ids
    assert read_prompts(indexed / "prompts.parquet")[0] == corpus.prompt_ids


def test_a_place_with_other_things_in_it_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(SettingsError, match="is a folder with other files"):
        train_bundle(tmp_path, tmp_path, None, 0, _NoProgress())  # type: ignore[arg-type]
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_a_failed_training_leaves_nothing_behind(tmp_path: Path) -> None:
    from rich.console import Console

    from training.progress import TerminalProgress

    prompts, responses = tiny_tables(40)
    responses["score"] += 1
    corpus = write_corpus(tmp_path / "corpus", prompts, responses)
    (tmp_path / "out").mkdir()
    with pytest.raises(TrainingError):
        train_bundle(corpus, tmp_path / "out" / "bundle", None, 0, TerminalProgress(Console(quiet=True)))
    assert list((tmp_path / "out").iterdir()) == []
