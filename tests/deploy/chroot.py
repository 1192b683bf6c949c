"""The Dockerfile's steps in a plain Debian folder in place of the Python image, and its processes in there.

`build` makes the last stage; `main` runs inside namespaces of its own (network, mounts, processes), where PostgreSQL
and Temporal have the names and ports of docker-compose.yml, so that every environment and command is the file's own.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from ops.embedded import temporal_binary
from simulator.qwc import read_qwc
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from tests.deploy import compose_file, dockerfile
from tests.deploy.behind import ToLoopback
from tests.deploy.production import PasswordServer, api_client
from tests.support import postgres, stores

PACKAGES = "python3,python3-venv,ca-certificates"
RELEASE = "bookworm"
PROJECT = compose_file.PROJECT
PORTS = {"bridge": 8080, "api": 8081, "worker": 9090, "postgresql": 5432, "temporal": 7233}
PATIENCE_S = 180.0


def debian(folder: Path) -> None:
    """Install a small Debian; the host's own settings say from where."""
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=900)


def wheels(folder: Path) -> None:
    """Fetch, by hash, what the build will install: the chroot itself has no network."""
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--dest", str(folder)]
    for name in ("requirements-build.txt", "requirements.txt"):
        subprocess.run([*download, "-r", str(PROJECT / name)], check=True, timeout=900)


def build(base: Path, fetched: Path, folder: Path) -> Path:
    """Execute the steps of each stage in a copy of the base; give the folder of the last."""
    made: dict[str, Path] = {}
    root = base
    for number, stage in enumerate(dockerfile.stages()):
        root = folder / f"stage-{number}"
        subprocess.run(["cp", "-a", "--reflink=auto", str(base), str(root)], check=True)
        python = root / "usr/local/bin/python"  # where the Python image has it
        if not python.exists():
            python.symlink_to("/usr/bin/python3")
        made[stage.name] = root
        environment = dockerfile.environment(dockerfile.Stage(stage.base, stage.name))
        place = Path("/")
        for word, rest in stage.steps:
            if word == "RUN":
                _run(root, place, environment, rest, fetched)
            elif word == "COPY":
                _copy(root, place, rest, made)
            elif word == "WORKDIR":
                place = Path(rest)
                (root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif word == "ENV":
                environment |= dockerfile.environment(dockerfile.Stage("", "", [(word, rest)]))
    return root


def _run(root: Path, place: Path, environment: dict[str, str], command: str, fetched: Path) -> None:
    inside = root / "wheels"
    inside.mkdir(exist_ok=True)
    subprocess.run(["mount", "--bind", "-o", "ro", str(fetched), str(inside)], check=True)
    try:
        done = subprocess.run(
            ["chroot", str(root), "/bin/sh", "-ec", f"cd {shlex.quote(str(place))}; {command}"],
            env=environment | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels", "HOME": "/root"},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
    finally:
        subprocess.run(["umount", str(inside)], check=True)
        inside.rmdir()
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-3000:]}"


def _copy(root: Path, place: Path, rest: str, made: dict[str, Path]) -> None:
    words = rest.split()
    source_root = PROJECT
    if words[0].startswith("--from="):
        source_root = made[words.pop(0).removeprefix("--from=")]
    *sources, target = words
    for source in sources:
        came = source_root / source.lstrip("/")
        goes = root / str(place / target).lstrip("/")
        if came.is_dir():
            shutil.copytree(came, goes, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        else:
            goes.mkdir(parents=True, exist_ok=True)
            shutil.copy2(came, goes / came.name)


class Container:
    """The last stage with a read-only root, as Docker would run it under the file's rules."""

    def __init__(self, root: Path, secrets: Path, work: Path) -> None:
        self.root = root
        self.work = work
        self.services = compose_file.load()["services"]
        self.environment = dockerfile.environment(dockerfile.stages()[-1])
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        (root / "etc/hosts").write_text("127.0.0.1 localhost postgresql temporal\n")
        (root / "run/secrets").mkdir(parents=True, exist_ok=True)
        for arguments in (
            ["--bind", str(root), str(root)],
            ["-o", "remount,ro,bind", str(root)],
            ["-t", "tmpfs", "-o", "size=64m,mode=1777,noexec,nosuid,nodev", "tmpfs", str(root / "tmp")],
            ["-t", "proc", "proc", str(root / "proc")],
            ["--bind", "-o", "ro", str(secrets), str(root / "run/secrets")],
        ):
            subprocess.run(["mount", *arguments], check=True)
        for name in ("urandom", "random", "null"):
            if not (root / "dev" / name).exists():
                raise AssertionError(f"the folder has no /dev/{name}")

    def command(self, service: str, arguments: Sequence[str]) -> list[str]:
        """Give the command: entrypoint and arguments as the file's user, without capabilities or new privileges."""
        user, _, group = self.services[service]["user"].partition(":")
        entrypoint = dockerfile.exec_form(dockerfile.stages()[-1].last("ENTRYPOINT"))
        values = self.environment | {k: str(v) for k, v in self.services[service]["environment"].items()}
        drop = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs"]
        drop += ["--bounding-set=-all", "--inh-caps=-all"]
        pairs = [f"{name}={value}" for name, value in values.items()]
        return ["chroot", str(self.root), *drop, "env", "-i", "-C", "/app", *pairs, *entrypoint, *arguments]

    def run(self, service: str, *arguments: str) -> str:
        """Run a command to its end."""
        command = self.command(service, arguments or self.services[service]["command"])
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0, f"{service}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, service: str) -> None:
        """Start a service."""
        with (self.work / f"{service}.log").open("wb") as log:
            self.processes[service] = subprocess.Popen(
                self.command(service, self.services[service]["command"]), stdout=log, stderr=log
            )

    def status(self, service: str) -> dict[str, str]:
        """Give what the kernel says of a process."""
        lines = Path(f"/proc/{self.processes[service].pid}/status").read_text().splitlines()
        return {name: rest.strip() for name, _, rest in (line.partition(":") for line in lines)}


def listens(port: int) -> bool:
    """Say whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main(root: Path, work: Path) -> dict[str, object]:
    """Run the production shape once and give what was seen; for the first process of new namespaces."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    secrets = work / "secrets"
    found = postgres.binaries()
    assert found is not None
    server = PasswordServer(found, (secrets / "postgres_password").read_text().strip())
    server.port = PORTS["postgresql"]
    temporal = [temporal_binary(), "server", "start-dev", "--headless", "--log-level", "error"]
    temporal += ["--db-filename", str(work / "temporal.sqlite")]
    with (work / "temporal.log").open("wb") as log:
        running = subprocess.Popen(temporal, stdout=log, stderr=log)
    box = Container(root, secrets, work)
    seen: dict[str, object] = {}
    try:
        server.start()
        server.run("sh", str(PROJECT / "deploy" / "postgresql-init.sh"), SECRETS=str(secrets))
        wait(box, "temporal")
        seen["migrate"] = box.run("migrate")
        seen["temporal-setup"] = box.run("temporal-setup")
        for service in ("bridge", "api", "worker", "prune"):
            box.start(service)
        for service in ("bridge", "api", "worker"):
            wait(box, service)
            seen[service] = box.run(service, *box.services[service]["healthcheck"]["test"][5:])
            said = box.status(service)
            seen[f"{service} runs"] = {name: said[name] for name in ("Uid", "Gid", "NoNewPrivs", "CapBnd", "CapEff")}
        touch = ["chroot", str(root), "touch", "/app/x", "/venv/x", "/etc/x"]
        seen["writable"] = subprocess.run(touch, check=False, capture_output=True).returncode == 0
        seen["tools"] = [name for name in ("gcc", "make") if shutil.which(name, path=f"{root}/usr/bin")] + [
            path.name for path in (root / "venv/bin").glob("pip*")
        ]
        seen["status"] = export(box)
        seen["prune"] = (work / "prune.log").read_text()
    finally:
        for process in [*box.processes.values(), running]:
            process.terminate()
        for process in [*box.processes.values(), running]:
            process.wait(60)
        server.close()
    seen["exit codes"] = {name: process.returncode for name, process in box.processes.items()}
    return seen


def wait(box: Container, name: str) -> None:
    """Wait until a port of the file is served."""
    deadline = time.monotonic() + PATIENCE_S
    while not listens(PORTS[name]):
        process = box.processes.get(name)
        assert process is None or process.poll() is None, (box.work / f"{name}.log").read_text()[-3000:]
        assert time.monotonic() < deadline, f"{name} does not listen"
        time.sleep(0.1)


def export(box: Container) -> str:
    """Connect a company and export one invoice."""
    key = box.run("api", "keys", "create", "tms").split()[-1]
    transport = ToLoopback(PORTS["bridge"])
    with api_client(PORTS["api"], key) as api, httpx.Client(transport=transport, trust_env=False) as http:
        made = api.post(
            "/v1/companies",
            json={"id": "acme", "name": "Acme", "quickbooks_release": "2024", "confirm_first_file": False},
        ).json()
        api.put("/v1/companies/acme/mapping", json=stores.MAPPING)
        qwc = read_qwc(api.get("/v1/companies/acme/qwc").text)
        connector = WebConnector(qwc, made["password"], freight_company("Acme"), http=http)
        api.post("/v1/companies/acme/exports", json={"document": stores.an_invoice("inv_1")})
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            connector.run_once()
            status = str(api.get("/v1/companies/acme/exports/invoice/inv_1").json()["status"])
            if status == "Successful":
                break
        return status


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))  # noqa: T201 the test reads it
    sys.stdout.flush()
    os._exit(0)
