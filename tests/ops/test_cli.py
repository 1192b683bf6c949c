"""The command line as a user meets it, with exit codes.

Services run in processes of their own; short commands in this one, by the function that such a process calls.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops.cli import main
from ops.database import migrate
from ops.private_files import PRIVATE_UMASK
from ops.settings import load_settings

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clean(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QBD_", "TEMPORAL_"))}
    return kept | {"PYTHONPATH": str(PROJECT), "QBD_DATA_DIR": str(tmp_path / "data")}


def qbd(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "ops", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


Here = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(clean: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """Runs a short command over a migrated database; what such a process does beside it is 0.7 s of loading."""
    for name in os.environ.keys() - clean.keys():
        monkeypatch.delenv(name)
    for name, value in clean.items():
        monkeypatch.setenv(name, value)
    before = os.umask(PRIVATE_UMASK)  # as the process has it, which ends with it
    migrate(load_settings(clean))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["qbd", *arguments])
        capsys.readouterr()
        try:
            code = main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)

    yield run
    os.umask(before)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("command", ["bridge", "api", "worker"])
def test_service_refuses_a_database_that_is_not_migrated(clean: dict[str, str], command: str) -> None:
    assert "./qbd migrate" in one_line(qbd(clean, command))


def test_wrong_setting_is_one_line(clean: dict[str, str]) -> None:
    assert "QBD_SOAP_PORT" in one_line(qbd(clean | {"QBD_SOAP_PORT": "x"}, "up"))


def test_database_that_does_not_answer_is_one_line(clean: dict[str, str]) -> None:
    line = one_line(qbd(clean | {"QBD_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/d"}, "keys", "list"))
    assert "does not answer" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(("setting", "command"), [("QBD_SOAP_PORT", "bridge"), ("QBD_API_PORT", "api")])
def test_port_in_use_names_its_setting(clean: dict[str, str], setting: str, command: str) -> None:
    done = qbd(clean, "migrate")
    assert done.returncode == 0
    assert done.stdout.endswith(" is at this program's version.\n")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert setting in one_line(qbd(clean | {setting: port}, command))
        assert setting in one_line(qbd(clean | {setting: port}, "up"))


def test_keys_are_made_listed_and_revoked(here: Here) -> None:
    made = here("keys", "create", "tms")
    key_id = made.stderr.split()[1]
    assert made.stdout.startswith("qbd_")
    assert len(made.stdout.split()) == 1
    listed = here("keys", "list").stdout
    assert key_id in listed
    assert made.stdout.strip() not in listed
    assert here("keys", "revoke", key_id).returncode == 0
    assert "revoked" in here("keys", "list").stdout
    assert "keys list" in one_line(here("keys", "revoke", "key_none"))


def test_keys_have_scopes_a_company_and_an_end(here: Here) -> None:
    assert here("keys", "create", "bi", "--scope", "read", "--scope", "export", "--days", "30").returncode == 0
    [line] = here("keys", "list").stdout.splitlines()
    assert "until 2" in line
    assert "all companies  read,export  bi" in line
    assert "no scope 'write'" in one_line(here("keys", "create", "x", "--scope", "write"))
    assert "no company co9" in one_line(here("keys", "create", "x", "--company", "co9"))


def test_doctor_of_an_unknown_company(here: Here) -> None:
    assert "no company co9" in one_line(here("doctor", "co9"))


def test_help_needs_no_heavy_library(clean: dict[str, str]) -> None:
    code = (
        "import sys\nfrom ops.cli import app\n"
        "loaded = {'sqlalchemy', 'temporalio', 'fastapi', 'lxml', 'httpx'} & set(sys.modules)\n"
        "sys.exit(', '.join(loaded) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_restored_wants_a_time_that_has_passed(here: Here) -> None:
    assert "yesterday is not a time" in one_line(here("restored", "--backup-at", "yesterday"))
    assert "future" in one_line(here("restored", "--backup-at", "2999-01-01"))


def test_exports_has_the_same_question_for_temporal(here: Here) -> None:
    """`--query` needs neither database nor server."""
    asked = ["--company", "acme", "--state", "failed", "--owner", "bookkeeper", "--since", "2026-11-23", "--query"]
    assert here("exports", *asked).stdout.strip() == (
        "WorkflowType = 'QuickBooksExport' AND CompanyId = 'acme' AND ExportState IN ('Failed') "
        "AND ExportOwner = 'bookkeeper' AND CloseTime >= '2026-11-23T00:00:00Z'"
    )
