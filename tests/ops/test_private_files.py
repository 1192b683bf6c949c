"""The data folder is for its user alone, and the servers for this machine: by default, and after upgrades."""

from __future__ import annotations

import logging
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ops.database import make_data_folder
from ops.http_server import server_config
from ops.ports import free_ports, require_free
from ops.private_files import tighten
from ops.problems import ProblemError
from ops.settings import load_settings
from ops.stack import PROJECT, stack_parts
from ops.supervisor import Part, Supervisor
from tests.deploy import dockerfile


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def wide_folder(tmp_path: Path) -> Path:
    """A data folder as earlier versions left it."""
    folder = tmp_path / "data"
    (folder / "logs").mkdir(parents=True)
    names = (
        "qbd.sqlite3",
        "qbd.sqlite3-wal",
        "qbd.sqlite3-shm",
        "temporal.sqlite3",
        "lock",
        "logs/api.log",
        "secret_key",
    )
    for name in names:
        (folder / name).write_text("x")
        (folder / name).chmod(0o644)
    (folder / "logs").chmod(0o755)
    folder.chmod(0o755)
    return folder


def test_wide_files_of_before_are_closed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line says so, and only once."""
    folder = wide_folder(tmp_path)
    settings = load_settings({"QBD_DATA_DIR": str(folder)})
    with caplog.at_level(logging.WARNING):
        make_data_folder(settings)
        make_data_folder(settings)
    assert {path.name: mode(path) for path in folder.rglob("*") if mode(path) & 0o077} == {}
    assert mode(folder) == mode(folder / "logs") == 0o700
    assert mode(folder / "qbd.sqlite3") == 0o600
    assert [str(folder) in record.getMessage() for record in caplog.records] == [True]


def test_a_folder_that_holds_other_things_is_left_alone(tmp_path: Path) -> None:
    """Its own files are closed all the same; a shared one, such as /tmp, keeps its rights; links are not followed."""
    folder = wide_folder(tmp_path)
    stranger = folder / "letter.txt"
    stranger.write_text("x")
    stranger.chmod(0o644)
    (folder / "lock").unlink()
    (folder / "lock").symlink_to(stranger)
    changed = tighten(folder)
    assert folder not in changed
    assert (mode(folder), mode(stranger), mode(folder / "qbd.sqlite3")) == (0o755, 0o644, 0o600)
    (folder / "lock").unlink()
    stranger.unlink()
    folder.chmod(0o1777)
    assert tighten(folder) == []
    assert mode(folder) == 0o1777


def test_what_a_command_makes_is_its_users_alone(tmp_path: Path) -> None:
    """Whatever the umask of the shell; the folder, the database and what SQLite lays beside it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("QBD_", "TEMPORAL_"))}
    environ |= {"PYTHONPATH": str(PROJECT), "QBD_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-P", "-m", "ops", "migrate"]
    done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True, timeout=60, umask=0)
    made = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert len(made) > 1
    assert [path for path in made if mode(path) & 0o077] == []
    assert "Other users" not in done.stderr


async def test_children_and_their_logs_are_private_too(tmp_path: Path) -> None:
    """A program of others, such as Temporal's server, makes files with the rights that it was started with."""

    async def ready() -> bool:
        return (tmp_path / "made").exists()

    command = ["/bin/sh", "-c", f"echo x >'{tmp_path}/made'; exec /bin/sleep 60"]
    part = Part(name="other", command=command, environment={}, ready=ready)
    before = os.umask(0)
    supervisor = Supervisor([[part]], tmp_path / "logs", lambda _line: None)
    try:
        await supervisor.start()
    finally:
        os.umask(before)
        await supervisor.stop()
    assert [oct(mode(tmp_path / name)) for name in ("made", "logs", "logs/other.log")] == ["0o600", "0o700", "0o600"]


def test_servers_listen_on_this_machine_alone() -> None:
    """By default; another address by a setting, at which the supervisor and health checks then ask."""
    settings = load_settings({})
    assert settings.listen == "127.0.0.1"
    assert server_config(lambda: None, settings, port=1).host == "127.0.0.1"  # type: ignore[arg-type]
    temporal = stack_parts(settings, {})[0][0].command
    assert temporal[temporal.index("--ip") + 1] == "127.0.0.1"
    assert not [word for word in temporal if word.startswith("--ui-ip")]


@pytest.mark.parametrize(
    ("listen", "own_host"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("192.0.2.7", "192.0.2.7"), ("2001:db8::7", "[2001:db8::7]")],
)
def test_another_address_by_setting(listen: str, own_host: str) -> None:
    settings = load_settings({"QBD_LISTEN": listen})
    assert settings.own_host == own_host
    assert server_config(lambda: None, settings, port=1).host == listen  # type: ignore[arg-type]


def test_an_address_of_another_machine_is_one_clear_line() -> None:
    with pytest.raises(ProblemError, match="QBD_LISTEN"):
        require_free(free_ports(1)[0], "QBD_SOAP_PORT", "192.0.2.7")


def test_the_bridge_is_not_reached_from_elsewhere(tmp_path: Path) -> None:
    """By the address of another interface of this machine, as a neighbour would come."""
    [port] = free_ports(1)
    script = (
        "from ops.http_server import serve_wsgi\nfrom ops.settings import load_settings\n"
        "from tests.soap.fake_service import app\n"
        f"serve_wsgi(app(), load_settings({{}}), port={port})"
    )
    environ = {**os.environ, "PYTHONPATH": str(PROJECT), "FAKE_NOTEBOOK": str(tmp_path / "calls")}
    process = subprocess.Popen([sys.executable, "-c", script], env=environ, stderr=subprocess.PIPE, text=True)
    try:
        while True:
            assert process.poll() is None
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.2", port)) != 0  # loopback's other addresses stand for other interfaces
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_the_image_listens_for_its_neighbours() -> None:
    """In a container loopback reaches nobody; what is published is the business of docker-compose.yml."""
    assert dockerfile.environment(dockerfile.stages()[-1])["QBD_LISTEN"] == "0.0.0.0"
