"""The production shape as ordinary processes on loopback, each with the command and environment of docker-compose.yml.

Only what another machine would decide is put in place of the file's: host names and ports, and where the secrets lie.
"""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from ops.embedded import temporal_binary
from ops.ports import NO_TLS, free_ports
from tests.deploy import compose_file
from tests.deploy.compose_file import PROJECT
from tests.support import postgres

PATIENCE_S = 120.0
SUPERUSER = "postgres"


class PasswordServer(postgres.Server):
    """PostgreSQL that asks everybody for a password, with the roles and databases that the init script makes."""

    def start(self) -> None:
        if not self._data.exists():
            secret = self._folder / "superuser"
            secret.write_text(self.password)
            if self._user is not None:
                shutil.chown(secret, self._user)
            options = ("-U", SUPERUSER, "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "-N")
            self._run("initdb", "-D", str(self._data), *options)
        served = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", str(self._folder / "log"), "-o", served, "start")

    def __init__(self, bin_folder: Path, password: str) -> None:
        super().__init__(bin_folder)
        self.password = password

    def environment(self) -> dict[str, str]:
        """What the programs of PostgreSQL read."""
        return {
            **os.environ,
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": SUPERUSER,
            "PGPASSWORD": self.password,
        }

    def run(self, *command: str, **more: str) -> str:
        """Run a program of PostgreSQL as the superuser and give what it says."""
        done = subprocess.run(
            command, env=self.environment() | more, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


class Production:
    """Everything that the file names but Docker itself, Caddy, the Temporal UI and Temporal's own database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.services = compose_file.load()["services"]
        subprocess.run([str(PROJECT / "deploy" / "make-secrets.sh")], cwd=folder, check=True, timeout=30)
        self.secrets = folder / "secrets"
        found = postgres.binaries()
        assert found is not None
        self.postgresql = PasswordServer(found, (self.secrets / "postgres_password").read_text().strip())
        [self.temporal_port] = free_ports(1)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        url = (self.secrets / "database_url").read_text().strip()
        self.database_url = url.replace("@postgresql:5432/", f"@127.0.0.1:{self.postgresql.port}/")
        (folder / "mounted").mkdir()
        for path in self.secrets.iterdir():
            (folder / "mounted" / path.name).write_text(path.read_text())
        (folder / "mounted" / "database_url").write_text(self.database_url + "\n")

    def environment(self, service: str, **ports: int) -> dict[str, str]:
        """Give the environment of a service: the file's, with this machine's addresses."""
        values = {name: str(value) for name, value in self.services[service]["environment"].items()}
        values = {
            name: value.replace("temporal:7233", f"127.0.0.1:{self.temporal_port}").replace(
                "/run/secrets", str(self.folder / "mounted")
            )
            for name, value in values.items()
        }
        values |= {name: str(port) for name, port in ports.items()}
        # What the image sets, and nothing of the environment of the tests.
        return values | {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT),
            "QBD_DATA_DIR": str(self.folder / "no"),
        }

    def command(self, service: str) -> list[str]:
        """Give the command line: the image's entrypoint and the file's command."""
        return [sys.executable, "-P", "-m", "ops", *self.services[service]["command"]]

    def job(self, service: str) -> str:
        """Run a job to its end and give what it says."""
        return self._run(self.command(service), service)

    def qbd(self, *arguments: str, service: str = "api") -> str:
        """Run a command as `docker compose exec SERVICE python -m ops ...` would."""
        return self._run([sys.executable, "-P", "-m", "ops", *arguments], service)

    def _run(self, command: list[str], service: str) -> str:
        done = subprocess.run(
            command,
            env=self.environment(service),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_postgresql(self) -> None:
        """Start the server and do what the container does on an empty volume."""
        self.postgresql.start()
        script = str(PROJECT / "deploy" / "postgresql-init.sh")
        self.postgresql.run("sh", script, SECRETS=str(self.secrets))

    def start_temporal(self, database_file: Path) -> None:
        """A server process of its own; like the real one, it has neither our namespace nor our attributes."""
        command = [temporal_binary(), "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--log-level", "error"]
        command += ["--port", str(self.temporal_port), "--db-filename", str(database_file)]
        self.spawn("temporal", command, dict(os.environ))
        self.wait(self._temporal_answers, "Temporal answers")

    def start(self, *instances: tuple[str, str, dict[str, int]]) -> None:
        """Start instances of services, (name, service, ports), and wait until their own health checks are content."""
        environments = {}
        for name, service, ports in instances:
            environments[name] = self.environment(service, **ports)
            self.spawn(name, self.command(service), environments[name])
        for name, service, ports in instances:
            [port] = ports.values()  # asked by hand first: a Python for each look is slow
            self.wait(functools.partial(_listens, port), f"{name} listens", name)
            check = [sys.executable, *self.services[service]["healthcheck"]["test"][2:]]
            done = subprocess.run(
                check, env=environments[name], cwd=self.folder, check=False, capture_output=True, text=True, timeout=60
            )
            assert (done.returncode, done.stdout) == (0, f"{service}: ok\n"), done.stderr

    def spawn(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        """Start a process in a group of its own; its output goes into a file."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=dict(environment), cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )

    def end(self, name: str, number: int = signal.SIGTERM) -> int:
        """End a process as Docker does: the first one is asked, all are killed; give its exit code."""
        process = self.processes.pop(name)
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        return process.wait(60)

    def close(self) -> None:
        """End all that was started here."""
        for name in reversed(list(self.processes)):
            try:
                self.end(name)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self.postgresql.close()

    def wait(self, condition: Callable[[], bool], what: str, process: str = "") -> None:
        """Look again and again until something holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if process and self.processes[process].poll() is not None:
                raise AssertionError(f"{process} ended: {(self.folder / f'{process}.log').read_text()[-3000:]}")
            assert time.monotonic() < deadline, f"not in time: {what}"
            time.sleep(0.1)

    def _temporal_answers(self) -> bool:
        from ops.embedded import server_ready

        return asyncio.run(server_ready(f"127.0.0.1:{self.temporal_port}"))


def api_client(port: int, key: str) -> httpx.Client:
    """A client of the API with a key."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, verify=NO_TLS, timeout=30
    )


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
