"""Rows of what dialects, providers and families of models accept."""

from pathlib import Path

import pytest
import yaml

from serve.catalogue.dialect_rows import load_dialect_rows
from serve.catalogue.provider_rows import ProviderRow, load_provider_rows
from serve.dialects.quirks import NO_QUIRKS, Quirks
from serve.dialects.quirks_row import QuirksRow
from serve.dialects.registry import DIALECTS
from serve.errors import ConfigurationError
from serve.packaged_files import data_dir

ROWS = load_dialect_rows(data_dir() / "dialects.yaml")
PROVIDERS = {row.id: row for row in load_provider_rows(data_dir() / "providers")}


def quirks_of(provider: str, model_id: str) -> Quirks:
    return PROVIDERS[provider].quirks_of(model_id, ROWS)


def test_each_row_is_of_a_dialect_that_exists() -> None:
    assert ROWS.quirks.keys() <= DIALECTS.keys()


def test_a_row_has_every_field_of_quirks_that_the_catalogue_does_not_know_otherwise() -> None:
    assert QuirksRow.model_fields.keys() == set(Quirks.__slots__) - {"takes_thinking_budget", "unknown_fields"}


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_a_model_of_a_family_that_is_not_known_gets_the_row_of_the_newest_one(provider: str) -> None:
    row = PROVIDERS[provider]
    if row.accepts:
        assert row.accepts[-1].models == ""
        below = ROWS.quirks_of(row.dialect, (row.quirks, provider))
        newest = row.accepts[-1].added_to(below, ROWS.schema_subsets, provider)
        assert quirks_of(provider, "never-heard-of-1").dropped_parameters == newest.dropped_parameters


@pytest.mark.parametrize(
    ("model_id", "drops_stop", "with_tools", "is_stated"),
    [
        ("gpt-4.1-mini", False, None, False),
        ("chatgpt-4o-latest", False, None, False),
        ("gpt-5-chat-latest", False, None, False),
        ("o4-mini", True, None, False),
        ("gpt-5", True, None, False),
        ("gpt-5-mini-2025-08-07", True, None, False),
        ("gpt-5.2", True, None, False),
        ("gpt-5.4", True, "none", False),
        ("gpt-5.6", True, "none", True),
        ("gpt-6-sol", True, "none", True),
    ],
)
def test_the_first_pattern_that_fits_a_model_counts(
    model_id: str, drops_stop: bool, with_tools: str | None, is_stated: bool
) -> None:
    quirks = quirks_of("openai", model_id)
    assert ("stop" in quirks.dropped_parameters) == drops_stop
    assert (quirks.effort_with_tools, quirks.states_effort_with_tools) == (with_tools, is_stated)
    assert quirks.renamed_parameters == {"max_tokens": "max_completion_tokens"}


def test_a_row_adds_to_the_row_below_it() -> None:
    below = Quirks(
        {"a": "b"}, frozenset({"x"}), clamped_parameters={"temperature": (0, 2)}, longest_user=64, call_id_length=9
    )
    row = QuirksRow(
        renamed_parameters={"c": "d"},
        dropped_parameters=frozenset({"y"}),
        clamped_parameters={"temperature": (0, 1)},
        call_id_length=None,
    )
    above = row.added_to(below, {}, "here")
    assert above.renamed_parameters == {"a": "b", "c": "d"}
    assert above.dropped_parameters == {"x", "y"}
    assert above.clamped_parameters == {"temperature": (0, 1)}
    assert (above.longest_user, above.call_id_length) == (64, None)
    assert QuirksRow().added_to(NO_QUIRKS, {}, "here") is NO_QUIRKS


def test_a_part_of_json_schema_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"^servers: box: there is no schema_subset 'gpt'. Use one of: anth"):
        ROWS.quirks_of("openai", (QuirksRow(schema_subset="gpt"), "servers: box"))


def test_a_provider_whose_last_row_has_a_pattern_is_refused(tmp_path: Path) -> None:
    row = yaml.safe_load((data_dir() / "providers" / "groq.yaml").read_text())
    row["accepts"] = row["accepts"][:1]
    (tmp_path / "groq.yaml").write_text(yaml.safe_dump(row, sort_keys=False))
    with pytest.raises(ConfigurationError, match=r"accepts: .*models of a new family have no row. Leave the pattern"):
        load_provider_rows(tmp_path)


def test_aggregators_and_servers_get_every_field() -> None:
    rows: dict[str, ProviderRow] = PROVIDERS
    assert {row.id for row in rows.values() if row.ignores_unknown_fields} == {
        "ollama",
        "openrouter",
        "requesty",
        "vllm",
    }
    assert quirks_of("openrouter", "gpt-5").unknown_fields == {}
    assert "usage" in quirks_of("openai", "gpt-5").unknown_fields["openai"]
