"""Settings: where they come from, which one wins, what is refused."""

from pathlib import Path

import pytest

from router.lane import EFFORTS
from serve.errors import ConfigurationError
from serve.identity.virtual_keys import issue_virtual_key
from serve.settings import Settings, check_exposure, efforts_named, environment_variable, load_settings


def write(folder: Path, text: str) -> Path:
    file = folder / "llmdeal.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    file = write(tmp_path, "port = 1111\nseed = 5\nmax_attempts = 2\n")
    settings = load_settings(file, {"LLMDEAL_PORT": "2222", "LLMDEAL_SEED": "6"}, {"port": 3333, "host": None})
    assert (settings.port, settings.seed, settings.max_attempts, settings.host) == (3333, 6, 2, "127.0.0.1")


def test_virtual_keys_come_from_the_file_and_from_the_environment(tmp_path: Path) -> None:
    one, two, three = (issue_virtual_key() for _ in range(3))
    file = write(tmp_path, f'[[virtual_keys]]\nname = "laptop"\nkey = "{one}"\n')
    settings = load_settings(file, {"LLMDEAL_KEYS": f"{two}, {three}"})
    assert settings.named_virtual_keys() == [("env-1", two), ("env-2", three), ("laptop", one)]
    assert one not in repr(settings)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("port = 99999", "port: "),
        ("prot = 1", "prot: "),
        ("port = = 1", "not valid TOML"),
        ('[[servers]]\nid = "x"\nbase_url = "ftp://x"\nmodels = [{upstream_model = "m"}]', r"servers.0.base_url"),
        ('[[servers]]\nid = "x"\nbase_url = "http://x"\nmodels = []', r"servers.0.models"),
        ("[exploration]\nshare = 0.1", "exploration needs a price: set monthly_ceiling_usd above 0"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        load_settings(write(tmp_path, text), {})


@pytest.mark.parametrize("name", ["alerts", "exploration", "prices", "providers", "servers", "virtual_keys", "watch"])
def test_a_table_is_not_taken_from_the_environment(name: str) -> None:
    variable = f"LLMDEAL_{name.upper()}"
    with pytest.raises(ConfigurationError, match=rf"{variable} cannot set '{name}'.*llmdeal\.toml"):
        load_settings(None, {variable: "x"})
    assert environment_variable(name) == ""


def test_every_other_setting_has_an_environment_variable() -> None:
    named = {name: environment_variable(name) for name in Settings.model_fields}
    assert [name for name, variable in named.items() if not variable] == [
        "virtual_keys",
        "providers",
        "servers",
        "prices",
        "watch",
        "alerts",
        "exploration",
    ]
    assert named["keys"] == "LLMDEAL_KEYS"
    assert named["monthly_budget_usd"] == "LLMDEAL_MONTHLY_BUDGET_USD"


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.toml: there is no such file"):
        load_settings(tmp_path / "absent.toml", {})


def test_a_secret_is_not_shown_when_it_is_wrong(tmp_path: Path) -> None:
    file = write(tmp_path, '[[virtual_keys]]\nname = ""\nkey = "ll_live_secret"\n')
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, {})
    assert "ll_live_secret" not in str(caught.value)


def test_listening_beyond_this_machine_needs_a_virtual_key() -> None:
    with pytest.raises(ConfigurationError, match="llmdeal new-key"):
        check_exposure(load_settings(None, {}, {"host": "0.0.0.0"}))
    check_exposure(load_settings(None, {"LLMDEAL_KEYS": issue_virtual_key()}, {"host": "0.0.0.0"}))
    check_exposure(load_settings(None, {}))


def test_a_refused_value_is_explained_in_the_words_of_the_check() -> None:
    with pytest.raises(ConfigurationError, match=r"^settings: policy: 'zzz' is no policy of smart-route\. Use one of "):
        load_settings(None, {"LLMDEAL_POLICY": "zzz"})


@pytest.mark.parametrize(
    ("text", "efforts"),
    [("all", EFFORTS), ("off", ()), ("none", ("none",)), ("none, high", ("none", "high"))],
)
def test_the_efforts_that_the_router_may_set_are_a_word_or_a_list(text: str, efforts: tuple[str, ...]) -> None:
    settings = load_settings(None, {"LLMDEAL_ROUTE_EFFORTS": text})
    assert efforts_named(settings.route_efforts) == frozenset(efforts)


def test_an_effort_that_does_not_exist_is_refused_by_its_name() -> None:
    with pytest.raises(ConfigurationError, match=r"'much' is no effort of reasoning\. Use all, off, or some of none"):
        load_settings(None, {"LLMDEAL_ROUTE_EFFORTS": "none,much"})


@pytest.mark.parametrize(
    ("toml", "meant"),
    [
        ("prot = 8000", "port"),
        ('[[servers]]\nid = "a"\nbase_ulr = "http://a.example/v1"', "base_url"),
        ('[providers.openai]\nbase_ur = "http://a.example/v1"', "base_url"),
    ],
)
def test_a_misspelt_setting_is_told_the_nearest_one(toml: str, meant: str, tmp_path: Path) -> None:
    file = tmp_path / "llmdeal.toml"
    file.write_text(toml)
    with pytest.raises(ConfigurationError, match=f"did you mean '{meant}'"):
        load_settings(file, {})
