"""Settings: defaults, one clear line per wrong value, and the tables that must agree with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ops.problems import SettingsError
from ops.settings import load_settings, secret_fields, settings_table

PROJECT = Path(__file__).resolve().parents[2]
README_ROW = re.compile(r"^\|\s*`((?:QBD|TEMPORAL)_[A-Z_]+)`\s*\|", re.MULTILINE)


def test_defaults_need_no_environment() -> None:
    settings = load_settings({})
    assert settings.soap_port == 8080
    assert settings.app_origin == "http://localhost:8080"
    assert settings.temporal_ui == "http://localhost:8233"
    assert settings.database == f"sqlite:///{Path.cwd() / '.qbd' / 'qbd.sqlite3'}"


def test_empty_means_not_set() -> None:
    assert load_settings({"QBD_SOAP_PORT": "", "QBD_PUBLIC_URL": " "}) == load_settings({})


def test_only_the_given_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QBD_SOAP_PORT", "1234")
    assert load_settings({}).soap_port == 8080


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("QBD_SOAP_PORT", "http", "valid integer"),
        ("QBD_SOAP_PORT", "0", "greater than or equal to 1"),
        ("QBD_API_PORT", "65536", "less than or equal to 65535"),
        ("QBD_METRICS_PORT", "9090.5", "valid integer"),
        ("QBD_TEMPORAL_PORT", "-1", "greater than or equal to 1"),
        ("QBD_TEMPORAL_UI_PORT", "x", "valid integer"),
        ("QBD_API_PORT", "8080", "QBD_SOAP_PORT and QBD_API_PORT are both 8080"),
        ("QBD_DATABASE_URL", "mysql://u:hunter2@h/d", "must look like postgresql://"),
        ("QBD_DATABASE_URL", "hunter2", "must look like postgresql://"),
        ("QBD_PUBLIC_URL", "http://qb.example.com", "must begin with https://"),
        ("QBD_PUBLIC_URL", "http://127.0.0.1:8080", "must begin with https://"),
        ("QBD_PUBLIC_URL", "https://192.0.2.7", "not an IP address"),
        ("QBD_PUBLIC_URL", "qb.example.com", "must look like https://host"),
        ("QBD_PUBLIC_URL", "https://h:99999", "is not a web address"),
        ("QBD_PUBLIC_URL", "https://h/?q=1", "must look like https://host"),
        ("QBD_TEMPORAL_UI_URL", "ftp://h", "must look like https://host"),
        ("QBD_SECRET_KEY", "hunter2", "at least 32 characters"),
        ("QBD_BATCH_SIZE", "0", "greater than or equal to 1"),
        ("QBD_BATCH_BYTES", "10", "greater than or equal to 10000"),
        ("QBD_SESSION_BUDGET_S", "5", "greater than or equal to 10"),
        ("QBD_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("QBD_SOPA_PORT", "8080", "did you mean QBD_SOAP_PORT?"),
        ("QBD_UNHEARD_OF", "8080", "is not a setting"),
    ],
)
def test_wrong_value_is_one_clear_line(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({name: value})
    text = str(caught.value)
    assert "\n" not in text
    assert name in text
    assert said in text
    assert "hunter2" not in text


def test_all_wrong_values_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"QBD_SOAP_PORT": "x", "QBD_LOG_LEVEL": "loud", "QBD_NONSENSE": "1"})
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize("value", ["http://localhost:8080", "https://qb.example.com/path/"])
def test_public_url(value: str) -> None:
    assert load_settings({"QBD_PUBLIC_URL": value}).app_origin == value.rstrip("/")


def test_children_get_the_same_settings(tmp_path: Path) -> None:
    given = {
        "QBD_DATA_DIR": str(tmp_path),
        "QBD_DATABASE_URL": "postgresql://u:p@h/d",
        "QBD_SECRET_KEY": "k" * 32,
        "QBD_SOAP_PORT": "18080",
        "QBD_LOG_LEVEL": "WARNING",
    }
    settings = load_settings(given)
    assert load_settings(settings.environment()) == settings


def test_secrets_are_not_shown() -> None:
    settings = load_settings({"QBD_SECRET_KEY": "hunter2" * 8, "QBD_DATABASE_URL": "postgresql://u:hunter2@h/d"})
    assert "hunter2" not in repr(settings)


def test_every_setting_is_described() -> None:
    rows = settings_table()
    assert len({row.name for row in rows}) == len(rows)
    assert all(row.description for row in rows)


def test_readme_lists_exactly_these_settings() -> None:
    listed = README_ROW.findall((PROJECT / "README.md").read_text("utf-8"))
    if not listed:
        pytest.skip("the README has no table of settings yet")
    ours = {row.name for row in settings_table() if row.name.startswith("QBD_")}
    assert {name for name in listed if name.startswith("QBD_")} == ours
    assert {name for name in listed if name.startswith("TEMPORAL_")} <= {row.name for row in settings_table()}


def test_secrets_may_stand_in_files(tmp_path: Path) -> None:
    """As containers hand them over: with a line end, and named by NAME_FILE; children get the value itself."""
    (tmp_path / "url").write_text("postgresql://u:hunter2@db/qbd\n")
    (tmp_path / "key").write_text("k" * 40)
    told = {"QBD_DATABASE_URL_FILE": str(tmp_path / "url"), "QBD_SECRET_KEY_FILE": str(tmp_path / "key")}
    settings = load_settings(told)
    assert settings.database == "postgresql://u:hunter2@db/qbd"
    assert load_settings(settings.environment()).database == settings.database
    assert sorted(secret_fields()) == ["database_url", "payload_keys", "secret_key"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), (b" \n", "is empty"), (b"\xff\xfe", "is not text"), (b"x" * 100_001, "too long")],
)
def test_a_secret_file_that_cannot_be_used_is_one_clear_line(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_settings({"QBD_SECRET_KEY_FILE": str(path)})
    [line] = str(caught.value).splitlines()
    assert line.startswith("QBD_SECRET_KEY_FILE")
    assert said in line
    assert "xxx" not in line


def test_a_secret_is_given_once(tmp_path: Path) -> None:
    """Value and file at once: nobody could know which holds. Only secrets have files."""
    (tmp_path / "key").write_text("k" * 40)
    for name, value in (("QBD_SECRET_KEY", "j" * 40), ("QBD_SOAP_PORT_FILE", str(tmp_path / "key"))):
        with pytest.raises(SettingsError, match=name):
            load_settings({"QBD_SECRET_KEY_FILE": str(tmp_path / "key"), name: value})


def test_variables_of_clients_and_of_kubernetes_are_no_settings() -> None:
    """The guide's own two, and what Kubernetes sets in every container beside Services called qbd and qbd-api."""
    beside = {
        "QBD_API": "http://localhost:8081",
        "QBD_KEY": "qbd_123",
        "QBD_API_PORT": "tcp://10.0.0.7:8081",
        "QBD_API_PORT_8081_TCP": "tcp://10.0.0.7:8081",
        "QBD_API_PORT_8081_TCP_PROTO": "tcp",
        "QBD_API_PORT_8081_TCP_PORT": "8081",
        "QBD_API_PORT_8081_TCP_ADDR": "10.0.0.7",
        "QBD_API_SERVICE_HOST": "10.0.0.7",
        "QBD_API_SERVICE_PORT": "8081",
        "QBD_API_SERVICE_PORT_HTTP": "8081",
        "QBD_PORT": "tcp://10.0.0.8:8080",
        "QBD_SERVICE_HOST": "10.0.0.8",
    }
    assert load_settings(beside) == load_settings({})
    assert load_settings(beside | {"QBD_SOAP_PORT": "8090"}).soap_port == 8090
    with pytest.raises(SettingsError, match="QBD_API_PROT is not a setting"):
        load_settings(beside | {"QBD_API_PROT": "8090"})
