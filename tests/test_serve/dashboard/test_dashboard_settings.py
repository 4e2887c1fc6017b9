"""The page of settings shows what was set and no secret."""

from serve.dashboard.views.settings_view import setting_lines
from serve.identity.virtual_keys import issue_virtual_key
from serve.settings import Settings, environment_variable

KEY = issue_virtual_key()


def test_what_was_set_comes_first_and_secrets_are_not_shown() -> None:
    settings = Settings.model_validate(
        {
            "database": "postgresql://user:canary-password@db/llmdeal",
            "shared_state": "valkey://:canary-secret@cache:6379",
            "keys": KEY,
            "master_key": "canary-master",
            "providers": {"openai": {"key": "canary-provider", "monthly_budget_usd": "40"}},
            "virtual_keys": [{"name": "ci", "key": KEY}],
            "port": 9000,
        }
    )
    lines = setting_lines(settings, environment_variable)
    values = {line.name: line.value for line in lines}
    assert values["database"] == "postgresql://…@db/llmdeal"
    assert values["shared_state"] == "valkey://…@cache:6379"
    assert values["keys"] == values["master_key"] == "set"
    assert values["providers"] == "openai: key set, monthly_budget_usd 40"
    assert values["virtual_keys"] == "key set, name ci"
    assert {line.name: line.environment for line in lines}["port"] == "LLMDEAL_PORT"
    assert [line.name for line in lines if not line.environment][:2] == ["virtual_keys", "providers"]
    assert [line.is_default for line in lines] == sorted(line.is_default for line in lines)
    assert "canary" not in repr(lines)
    assert KEY not in repr(lines)
