"""The vault: what is sealed opens where it belongs, under its master key, and nowhere else."""

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from serve.errors import ConfigurationError, VaultError
from serve.storage.database import open_database
from serve.vault.data_key_repository import DataKeyRepository
from serve.vault.master_key import (
    KeyWrapper,
    OwnMachineKey,
    default_master_key_file,
    find_key_wrapper,
    make_master_key_file,
    new_master_key,
    read_master_keys,
)
from serve.vault.vault import Vault

SECRET = "sk-ant-api03-canary"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(str(tmp_path / "vault.db"))


@pytest.fixture
def vault_under(engine: Engine) -> Callable[[str | None], Vault]:
    def make(master_key: str | None) -> Vault:
        wrapper = None if master_key is None else read_master_keys(master_key, "here")
        return Vault(wrapper, DataKeyRepository(engine), lambda: datetime.now(UTC))

    return make


def test_a_record_opens_for_the_credential_it_was_sealed_for_and_for_no_other(
    vault_under: Callable[[str], Vault],
) -> None:
    vault = vault_under(new_master_key())
    record = vault.seal("acme", "anthropic", "work", SECRET)
    assert SECRET.encode() not in record
    assert vault.open("acme", "anthropic", "work", record) == SECRET
    vault.seal("other", "anthropic", "work", SECRET)
    for place in (("other", "anthropic", "work"), ("acme", "openai", "work"), ("acme", "anthropic", "play")):
        with pytest.raises(VaultError):
            vault.open(*place, record)


@pytest.fixture(scope="module")
def lasting_vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    engine = open_database(str(tmp_path_factory.mktemp("vault") / "vault.db"))
    return Vault(read_master_keys(new_master_key(), "here"), DataKeyRepository(engine), lambda: datetime.now(UTC))


@given(st.text(min_size=1, max_size=50), st.data())
def test_any_changed_bit_is_noticed(lasting_vault: Vault, secret: str, data: st.DataObject) -> None:
    with_key = lasting_vault.seal("acme", "openai", "main", secret)
    assert lasting_vault.open("acme", "openai", "main", with_key) == secret
    place = data.draw(st.integers(0, len(with_key) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    with pytest.raises(VaultError):
        lasting_vault.open(
            "acme", "openai", "main", with_key[:place] + bytes([with_key[place] ^ bit]) + with_key[place + 1 :]
        )


def test_a_new_master_key_takes_over_and_the_old_one_is_not_needed_any_more(
    vault_under: Callable[[str], Vault],
) -> None:
    old, new = new_master_key(), new_master_key()
    record = vault_under(old).seal("acme", "openai", "main", SECRET)
    pepper = vault_under(old).pepper()
    with pytest.raises(VaultError, match="another master key"):
        vault_under(new).open("acme", "openai", "main", record)
    with pytest.raises(VaultError):
        vault_under(new).rewrap()
    assert vault_under(f"{new},{old}").rewrap() == 2
    assert vault_under(new).open("acme", "openai", "main", record) == SECRET
    assert vault_under(new).pepper() == pepper
    with pytest.raises(VaultError):
        vault_under(old).open("acme", "openai", "main", record)


def test_what_was_shredded_is_gone(vault_under: Callable[[str], Vault]) -> None:
    vault = vault_under(new_master_key())
    record = vault.seal("acme", "openai", "main", SECRET)
    assert vault.shred("acme")
    assert not vault.shred("acme")
    with pytest.raises(VaultError, match="shredded"):
        vault.open("acme", "openai", "main", record)
    vault.seal("acme", "openai", "main", SECRET)  # a fresh data key opens nothing old
    with pytest.raises(VaultError, match="gone"):
        vault.open("acme", "openai", "main", record)


def test_without_a_master_key_nothing_is_stored(vault_under: Callable[[str | None], Vault]) -> None:
    with pytest.raises(VaultError, match="new-master-key"):
        vault_under(None).seal("acme", "openai", "main", SECRET)


@pytest.mark.parametrize("text", ["", "abc", "A" * 40, f"{'A' * 43}=,", "é"])
def test_what_is_no_master_key_is_refused_without_printing_it(text: str) -> None:
    with pytest.raises(ConfigurationError, match="base64 of 32 bytes") as caught:
        read_master_keys(text, "LLMDEAL_MASTER_KEY")
    assert not text or text not in str(caught.value)


def test_the_key_of_ones_own_machine_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert find_key_wrapper("", None, "", environment) is None
    wrapped = OwnMachineKey(environment).wrap(b"k" * 32, "acme")
    file = default_master_key_file(environment)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = file.read_text()
    assert make_master_key_file(environment).read_text() == kept
    wrapper = find_key_wrapper("", None, "", environment)
    assert wrapper is not None
    assert wrapper.unwrap(wrapped, "acme") == b"k" * 32
    assert [path.name for path in file.parent.iterdir()] == ["master.key"]
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        find_key_wrapper("", None, "", environment)


def test_a_wrapper_of_ones_own_is_loaded_by_name() -> None:
    wrapper = find_key_wrapper("tests.test_serve.vault.test_vault:backwards", None, "", {"BY": "1"})
    assert wrapper is not None
    assert wrapper.unwrap(wrapper.wrap(b"abc", "x"), "x") == b"abc"
    with pytest.raises(ConfigurationError, match="nowhere:nothing"):
        find_key_wrapper("nowhere:nothing", None, "", {})


def backwards(environment: dict[str, str]) -> KeyWrapper:
    assert environment == {"BY": "1"}
    return _Backwards()


class _Backwards:
    def wrap(self, data_key: bytes, account: str) -> bytes:
        return data_key[::-1]

    def unwrap(self, wrapped: bytes, account: str) -> bytes:
        return wrapped[::-1]
