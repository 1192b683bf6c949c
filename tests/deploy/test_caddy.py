"""deploy/Caddyfile under a real Caddy, with a CA of its own: what the Web Connector needs of TLS, and nothing more."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from ops.database import migrate
from ops.keys import create_key
from ops.ports import free_ports
from ops.settings import Settings, load_settings
from simulator.qwc import read_qwc
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from tests.deploy.behind import ToTls
from tests.deploy.compose_file import PROJECT

CADDY = shutil.which("caddy")
CADDYFILE = PROJECT / "deploy" / "Caddyfile"
HOSTS = {
    "SOAP_HOST": "qb.example.com",
    "API_HOST": "qb-api.example.com",
    "CONSOLE_HOST": "qb-console.example.com",
}
SOAP = (
    '<?xml version="1.0"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
    '<serverVersion xmlns="http://developer.intuit.com/" /></soap:Body></soap:Envelope>'
)
HEADERS = {
    "Content-Type": "text/xml; charset=utf-8",
    "SOAPAction": '"http://developer.intuit.com/serverVersion"',
}
DEAD_FIRST = "::1 bridge\n127.0.0.1 bridge\n127.0.0.1 localhost\n"
OLD_WINDOWS = "ECDHE-RSA-AES128-GCM-SHA256"
needs_caddy = pytest.mark.skipif(CADDY is None, reason="caddy is not installed (Debian: apt-get install caddy)")
pytestmark = [pytest.mark.long, pytest.mark.timeout(300), needs_caddy]


def caddy(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    assert CADDY is not None
    environment = {**os.environ, **HOSTS, **more}
    command = [CADDY, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_file_is_valid_and_in_caddys_own_format() -> None:
    done = caddy("validate", "--config", str(CADDYFILE), "--adapter", "caddyfile")
    assert done.returncode == 0, done.stderr
    assert "Valid configuration" in done.stdout
    assert caddy("fmt", str(CADDYFILE)).stdout == CADDYFILE.read_text("utf-8")


class Front:
    """Caddy before two bridges and an API, as processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = ("https", "health", "bridge", "api", "metrics", "temporal")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.settings: Settings = load_settings(self.own())
        self.settings.data_dir.mkdir()
        migrate(self.settings)
        self.root = folder / "caddy" / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    def own(self) -> dict[str, str]:
        return {
            "QBD_DATA_DIR": str(self.folder / "data"),
            "QBD_PUBLIC_URL": f"https://{HOSTS['SOAP_HOST']}",
            "QBD_SOAP_PORT": str(self.ports["bridge"]),
            "QBD_API_PORT": str(self.ports["api"]),
            "QBD_METRICS_PORT": str(self.ports["metrics"]),
            "QBD_BRIDGE_METRICS_PORT": "0",
            "QBD_TEMPORAL_PORT": str(self.ports["temporal"]),
        }

    def start(self, *, api_clients: str = "private_ranges", nat: str = "192.0.2.1") -> None:
        for name in ("bridge", "api"):
            self.start_ours(name)
        assert CADDY is not None
        command = [CADDY, "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
        host = "127.0.0.1"
        if os.geteuid() == 0:
            # As Compose's DNS: one name for all bridges, and at its first address nobody listens any more.
            host = "bridge"
            (self.folder / "hosts").write_text(DEAD_FIRST)
            told = f"mount --bind {self.folder / 'hosts'} /etc/hosts && exec {shlex.join(command)}"
            command = ["unshare", "--mount", "sh", "-ec", told]
        environment = {
            **HOSTS,
            "PATH": os.environ["PATH"],
            "BRIDGES": f"{host}:{self.ports['bridge']}",
            "APIS": f"{host}:{self.ports['api']}",
            "API_CLIENTS": api_clients,
            "NAT_ADDRESSES": nat,
            "TLS_ISSUER": "internal",
            "HTTPS_PORT": str(self.ports["https"]),
            "CADDY_HEALTH_PORT": str(self.ports["health"]),
            "XDG_DATA_HOME": str(self.folder / "caddy"),
            "XDG_CONFIG_HOME": str(self.folder / "caddy"),
        }
        self.spawn("caddy", command, environment)
        for name in ("bridge", "api", "https", "health"):
            self.wait(functools.partial(self.listens, name), name)
        self.wait(self.root.exists, "the root certificate")
        self.wait(self.has_certificates, "the certificates")

    def start_ours(self, name: str) -> None:
        environment = {**os.environ, **self.own(), "PYTHONPATH": str(PROJECT)}
        self.spawn(name, [sys.executable, "-P", "-m", "ops", name], environment)

    def spawn(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=environment, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        process = self.processes.pop(name)
        os.killpg(process.pid, number)
        process.wait(60)
        port = "https" if name == "caddy" else name
        deadline = time.monotonic() + 30
        while self.listens(port):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def listens(self, name: str) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports[name])) == 0

    def has_certificates(self) -> bool:
        try:
            with self.client() as http:
                return all(http.get(f"https://{host}/").status_code for host in HOSTS.values())
        except httpx.ConnectError:
            return False

    def client(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> httpx.Client:
        transport = ToTls(self.ports["https"], self.root, version=version)
        return httpx.Client(transport=transport, trust_env=False, timeout=30)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            assert not ended, [(self.folder / f"{name}.log").read_text()[-2000:] for name in ended]
            assert time.monotonic() < deadline, f"not in time: {what}"
            time.sleep(0.1)

    def handshake(self, **limits: ssl.TLSVersion | str) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.root))
        ciphers = limits.get("ciphers")
        if isinstance(ciphers, str):
            context.set_ciphers(ciphers)
        highest = limits.get("maximum", ssl.TLSVersion.TLSv1_2)
        assert isinstance(highest, ssl.TLSVersion)
        context.maximum_version = highest
        if highest < ssl.TLSVersion.TLSv1_2:
            context.minimum_version = highest
        plain = socket.create_connection(("127.0.0.1", self.ports["https"]), timeout=30)
        try:
            return context.wrap_socket(plain, server_hostname=HOSTS["SOAP_HOST"])
        except ssl.SSLError:
            plain.close()
            raise

    def close(self) -> None:
        for name, process in list(self.processes.items()):
            if process.poll() is None:
                self.kill(name, signal.SIGTERM)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    front = Front(tmp_path_factory.mktemp("front"))
    try:
        front.start()
        yield front
    finally:
        front.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_an_old_windows_can_speak_with_it(front: Front) -> None:
    """TLS 1.2 with the one suite that every Windows since 7 has, which needs an RSA key; nothing older."""
    with front.handshake(ciphers=OLD_WINDOWS) as spoken:
        assert spoken.version() == "TLSv1.2"
        found = spoken.cipher()
        assert found is not None
        assert found[0] == OLD_WINDOWS
    with pytest.raises(ssl.SSLError):
        front.handshake(maximum=ssl.TLSVersion.TLSv1_1, ciphers="DEFAULT@SECLEVEL=0")


def test_the_chain_is_whole(front: Front) -> None:
    """A client that knows only the root is content: the certificate between the two comes along."""
    asked = f"127.0.0.1:{front.ports['https']}"
    done = subprocess.run(
        ["openssl", "s_client", "-connect", asked, "-servername", HOSTS["SOAP_HOST"], "-showcerts", "-tls1_2"],
        input="",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.count("-----BEGIN CERTIFICATE-----") == 2


def test_answers_come_as_the_web_connector_wants_them(front: Front) -> None:
    """GET, HEAD and POST on AppURL and GET on AppSupport: 200, no redirect, not compressed, with their length."""
    url = f"https://{HOSTS['SOAP_HOST']}"
    willing = {"Accept-Encoding": "gzip, deflate, br"}
    with front.client() as http:
        answers = [
            http.get(f"{url}/qbwc", headers=willing),
            http.head(f"{url}/qbwc", headers=willing),
            http.get(f"{url}/qbwc/", headers=willing),
            http.get(f"{url}/qbwc?wsdl", headers=willing),
            http.get(f"{url}/support/acme", headers=willing),
            http.post(
                f"{url}/qbwc",
                content=SOAP,
                headers={**willing, **HEADERS, "Expect": "100-continue"},
            ),
        ]
        for answer in answers:
            assert answer.status_code == 200, answer.request.url
            assert "content-encoding" not in answer.headers
            assert "content-length" in answer.headers
        assert answers[-1].headers["content-type"].startswith("text/xml")
        assert "serverVersionResponse" in answers[-1].text


def test_only_what_is_public_is_reached(front: Front) -> None:
    """Health and metrics of the bridge stay inside; the API's metrics too; nothing listens without TLS."""
    with front.client() as http:
        for path in ("/healthz", "/metrics", "/", "/v1/companies"):
            assert http.get(f"https://{HOSTS['SOAP_HOST']}{path}").status_code == 404, path
        assert http.get(f"https://{HOSTS['API_HOST']}/metrics").status_code == 404
        assert http.get(f"https://{HOSTS['API_HOST']}/healthz").status_code == 200
        assert http.get(f"https://{HOSTS['API_HOST']}/v1/companies").status_code == 401
        assert http.get(f"https://{HOSTS['CONSOLE_HOST']}/v1/companies").status_code == 404
        assert http.get(f"https://{HOSTS['CONSOLE_HOST']}/healthz").status_code == 200
    assert httpx.get(f"http://127.0.0.1:{front.ports['health']}/", trust_env=False).status_code == 200


def test_sessions_go_through_it_and_on_after_a_bridge_died(front: Front) -> None:
    """Connected over the API's name, polled over the bridge's, past an address where nobody listens.

    A bridge that is killed amid a session costs that session; the next one goes on where it broke off.
    """
    key = create_key(front.settings, "tms").key
    with front.client() as api, front.client() as http:
        api.headers["Authorization"] = f"Bearer {key}"
        api.base_url = httpx.URL(f"https://{HOSTS['API_HOST']}")
        made = api.post(
            "/v1/companies",
            json={"id": "acme", "name": "Acme", "quickbooks_release": "2024", "confirm_first_file": False},
        ).json()
        connector = WebConnector(
            read_qwc(api.get("/v1/companies/acme/qwc").text), made["password"], freight_company("Acme"), http=http
        )
        connector.probe()  # what the Web Connector does when the .qwc file is added
        calls = 0

        def after(_answer: httpx.Response) -> None:
            nonlocal calls
            calls += 1
            if calls == 6:
                front.kill("bridge")

        http.event_hooks["response"].append(after)
        assert connector.run_once().status.endswith("502: Bad Gateway.")
        front.start_ours("bridge")
        front.wait(lambda: front.listens("bridge"), "the bridge is back")
        assert connector.run_once().outcome == "ok"
        assert api.get("/v1/companies/acme").json()["connection"]["state"] == "connected"


@pytest.mark.parametrize("refused", [{"api_clients": "203.0.113.0/24"}, {"nat": "127.0.0.1"}], ids=["stranger", "NAT"])
def test_strangers_do_not_reach_the_api(tmp_path: Path, refused: dict[str, str]) -> None:
    """Nor does who has the address of Docker's own NAT, although that is a private one."""
    front = Front(tmp_path)
    try:
        front.start(**refused)
        with front.client() as http:
            assert http.get(f"https://{HOSTS['API_HOST']}/healthz").status_code == 403
            assert http.get(f"https://{HOSTS['SOAP_HOST']}/qbwc").status_code == 200
    finally:
        front.close()
