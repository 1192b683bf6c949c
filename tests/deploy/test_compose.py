"""docker-compose.yml against its schema, the settings, the commands and the rules that keep it closed."""

from __future__ import annotations

import re
import subprocess
import sys
from graphlib import TopologicalSorter
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import QueuePool

from ops.cli import app
from ops.embedded import temporal_binary
from ops.settings import FILE_SUFFIX, env_name, load_settings, secret_fields, settings_table
from ops.worker_process import STOP_GRACE
from store.engine import Database
from tests.deploy import compose_file
from tests.deploy.compose_file import JOBS, OURS, PORTLESS, PROJECT

IMAGE_VARIABLES = {
    # The image's entrypoint.
    "postgres": {"POSTGRES_PASSWORD_FILE", "POSTGRES_INITDB_ARGS"},
    # The configuration template that the server carries, temporalio/temporal docker/config_template_embedded.yaml.
    "temporalio/server": {
        "DB",
        "DB_PORT",
        "DBNAME",
        "VISIBILITY_DBNAME",
        "POSTGRES_SEEDS",
        "POSTGRES_USER",
        "BIND_ON_IP",
        "PROMETHEUS_ENDPOINT",
        "NUM_HISTORY_SHARDS",
        "SQL_MAX_CONNS",
        "SQL_VIS_MAX_CONNS",
    },
    # Options of temporal-sql-tool.
    "temporalio/admin-tools": {"SQL_PLUGIN", "SQL_HOST", "SQL_PORT", "SQL_USER"},
    "temporalio/ui": {"TEMPORAL_ADDRESS", "TEMPORAL_DEFAULT_NAMESPACE"},
}
SOAP_PORT, API_PORT = 8080, 8081
DRAIN_S, KEPT_DAYS = 10, 400
TEMPORAL_SERVICES = 4
"""Frontend, history, matching and worker: each has pools of its own."""
RESERVED = 3
"""For superusers, by PostgreSQL's default."""
SERVER_PROCESSES = 20
"""Of PostgreSQL itself, beside one for each connection."""
LONGEST_CALL_S = 30
"""docs/deploy.md: what a call of a Web Connector may take; the API gives a request's body as long."""


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = compose_file.load()["services"]
    return found


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the script makes; a second run changes nothing."""
    folder = tmp_path_factory.mktemp("deploy")
    script = [str(PROJECT / "deploy" / "make-secrets.sh")]
    subprocess.run(script, cwd=folder, check=True, timeout=30)
    made = {path.name: path.read_text() for path in (folder / "secrets").iterdir()}
    subprocess.run(script, cwd=folder, check=True, timeout=30)
    assert made == {path.name: path.read_text() for path in (folder / "secrets").iterdir()}
    return folder / "secrets"


def test_the_file_keeps_its_schema(tmp_path: Path) -> None:
    """The schema of the Compose specification, as the tool carries it; the guide's override files too."""
    command = [str(Path(sys.executable).parent / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    page = (PROJECT / "docs" / "deploy.md").read_text("utf-8")
    overrides = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert overrides
    files = [compose_file.FILE]
    for number, text in enumerate(overrides):
        files.append(tmp_path / f"override-{number}.yml")
        files[-1].write_text(text)
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_our_services_use_settings_that_exist(services: dict[str, Any]) -> None:
    known = {row.name for row in settings_table()} | {env_name(one) + FILE_SUFFIX for one in secret_fields()}
    for name in OURS:
        assert set(services[name]["environment"]) <= known, name


def test_variables_of_other_images_are_known(services: dict[str, Any]) -> None:
    for name, service in services.items():
        image = service["image"].partition(":")[0]
        if image in IMAGE_VARIABLES:
            assert set(service["environment"]) <= IMAGE_VARIABLES[image], name


@pytest.mark.parametrize("name", OURS)
def test_our_services_start_with_valid_settings(services: dict[str, Any], secrets: Path, name: str) -> None:
    """With the secrets that the script makes, at the places where Compose mounts them."""
    service = services[name]
    environment = {key: str(value) for key, value in service["environment"].items()}
    mounted = {f"/run/secrets/{one}": str(secrets / one) for one in service["secrets"]}
    settings = load_settings({key: mounted.get(value, value) for key, value in environment.items()})
    assert re.fullmatch(r"postgresql://qbd:[0-9a-f]{64}@postgresql:5432/qbd", settings.database)
    assert environment["TEMPORAL_ADDRESS"] == "temporal:7233"
    if name in ("bridge", "api"):
        assert settings.public_url == "https://qb.example.com"
    used = {value for key, value in environment.items() if key.endswith(FILE_SUFFIX)}
    assert used == set(mounted), "a secret that nobody reads, or one that is not mounted"


def test_every_secret_is_made_and_none_is_in_the_file(services: dict[str, Any], secrets: Path) -> None:
    listed = compose_file.load()["secrets"]
    assert {Path(one["file"]).name for one in listed.values()} | {"temporal.env"} == {
        path.name for path in secrets.iterdir()
    }
    assert {secret for service in services.values() for secret in service.get("secrets", [])} == set(listed)
    assert secrets.stat().st_mode & 0o777 == 0o700
    held = dict(line.split("=") for line in (secrets / "temporal.env").read_text().splitlines())
    password = (secrets / "temporal_db_password").read_text().strip()
    assert held == {"POSTGRES_PWD": password, "SQL_PASSWORD": password}
    for service in services.values():
        shown = [key for key in service.get("environment", {}) if re.search("PASSWORD|PWD|KEY|SECRET", key)]
        assert all(key.endswith(FILE_SUFFIX) for key in shown), shown


def test_commands_exist(services: dict[str, Any]) -> None:
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    for name in OURS:
        assert services[name]["command"][0] in known, name
        check = services[name]["healthcheck"].get("test")
        assert check in (None, ["CMD", "python", "-P", "-m", "ops", "health", name]), name


def test_images_are_pinned(services: dict[str, Any]) -> None:
    """Ours by the name of its build: two builds under one name could not be told apart, nor be gone back to."""
    for name, service in services.items():
        if name in OURS:
            assert service["image"] == f"tms-quickbooks-desktop:{compose_file.USER['IMAGE_TAG']}"
            continue
        pin = r"[a-z/-]+:[0-9]+(\.[0-9]+)+(-bookworm)?(@sha256:[0-9a-f]{64})?"
        assert re.fullmatch(pin, service["image"]), service["image"]


def test_every_service_is_closed_and_limited(services: dict[str, Any]) -> None:
    """Read-only roots, no capabilities, no new privileges, no root, bounded logs, memory and processes."""
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}, name
        assert all(":size=" in one for one in service["tmpfs"]), name
        if name in OURS:
            assert service["user"] == "10001:10001"
            assert "volumes" not in service
        # Caddy: root of its own volume with one capability. The UI's image has no user of a known number.
        assert "user" in service or name in ("caddy", "temporal-ui"), name
        assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "caddy" else []), name


def test_only_caddy_is_reachable_from_outside(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"caddy": ["0.0.0.0:443:443"], "temporal-ui": ["127.0.0.1:8233:8080"]}
    internal = {name for name, one in compose_file.load()["networks"].items() if one.get("internal")}
    for name in ("postgresql", "temporal", "bridge", *JOBS):
        assert set(services[name]["networks"]) <= internal, name
    assert services["postgresql"]["networks"] == ["database"]
    assert "database" not in services["caddy"]["networks"] + services["temporal-ui"]["networks"]


def test_who_comes_through_dockers_nat_is_not_taken_for_a_neighbor(services: dict[str, Any]) -> None:
    """An IPv6 client, or one of Docker's proxy, bears the gateway's address: a private one. Caddy knows them all."""
    networks = compose_file.load()["networks"]
    gateways = [networks[name]["ipam"]["config"][0]["gateway"] for name in services["caddy"]["networks"]]
    assert services["caddy"]["environment"]["NAT_ADDRESSES"].split() == gateways
    for name in services["caddy"]["networks"]:
        [config] = networks[name]["ipam"]["config"]
        assert ip_address(config["gateway"]) in ip_network(config["subnet"])
        assert "enable_ipv6" not in networks[name]
    for service in services.values():
        assert all(ip_address(port.split(":")[0]).version == 4 for port in service.get("ports", []))
    caddyfile = (PROJECT / "deploy" / "Caddyfile").read_text("utf-8")
    api = caddyfile.partition("https://{$API_HOST}")[2].partition("\n}\n")[0]
    assert 0 < api.find("remote_ip {$NAT_ADDRESSES") < api.find("@stranger") < api.find("reverse_proxy")


def test_temporals_server_is_the_one_that_the_tests_use(services: dict[str, Any]) -> None:
    """The embedded server of the pinned requirements: what runs in production was seen at work."""
    told = subprocess.run(
        [temporal_binary(), "--version"], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    found = re.search(r"Server (\d+\.\d+\.\d+)", told)
    assert found is not None, told
    for name in ("temporal", "temporal-schema"):
        assert services[name]["image"].partition("@")[0].rpartition(":")[2] == found[1], name


def test_a_new_database_password_restarts_what_holds_it_and_nothing_else(services: dict[str, Any]) -> None:
    page = (PROJECT / "docs" / "deploy.md").read_text("utf-8")
    [named] = re.findall(r"^docker compose up --detach --no-deps --force-recreate (.+)$", page, re.MULTILINE)
    holding = {name for name, service in services.items() if "database_url" in service.get("secrets", [])}
    assert set(named.split()) == holding - set(JOBS)


def test_postgresql_lets_everybody_in(services: dict[str, Any]) -> None:
    """All connections that the file's processes may open at once, and those of an upgrade and of an operator."""
    usual, of_bridge = most_connections()
    temporal = services["temporal"]["environment"]
    ours = sum(
        services[name]["deploy"].get("replicas", 1) * (of_bridge if name == "bridge" else usual)
        for name in OURS
        if name not in JOBS
    )
    theirs = TEMPORAL_SERVICES * (int(temporal["SQL_MAX_CONNS"]) + int(temporal["SQL_VIS_MAX_CONNS"]))
    command = " ".join(services["postgresql"]["command"])
    [allowed] = re.findall(r"max_connections=(\d+)", command)
    assert ours + theirs + 2 * usual + RESERVED <= int(allowed)
    assert services["postgresql"]["deploy"]["resources"]["limits"]["pids"] >= int(allowed) + SERVER_PROCESSES
    for page in (PROJECT / "docs" / "deploy.md", compose_file.FILE):
        assert f"{ours + theirs} " in page.read_text("utf-8"), page.name


def test_who_talks_shares_a_network(services: dict[str, Any]) -> None:
    def meet(one: str, other: str) -> bool:
        return bool(set(services[one]["networks"]) & set(services[other]["networks"]))

    for name in ("bridge", "api", "worker"):
        assert meet(name, "postgresql"), name
        assert meet(name, "temporal"), name
    pairs = [("caddy", "bridge"), ("caddy", "api"), ("migrate", "postgresql"), ("temporal-setup", "temporal")]
    pairs += [("temporal", "postgresql"), ("temporal-schema", "postgresql"), ("temporal-ui", "temporal")]
    assert all(meet(*pair) for pair in pairs)


def test_long_running_services_are_watched_and_restarted(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if name in JOBS:
            assert service["healthcheck"] == {"disable": True}
            assert service["restart"].startswith("on-failure:")
        else:
            assert service["restart"] == "unless-stopped"
            watched = {"disable": True} if name in PORTLESS else service["healthcheck"]
            assert service["healthcheck"] == watched, name
            assert ("test" in watched) != (name in PORTLESS), name


def test_there_is_time_to_end_well(services: dict[str, Any], secrets: Path) -> None:
    """What Docker waits before it kills is more than draining and the longest call that is under way then."""
    for name in ("bridge", "api"):
        settings = load_settings({"QBD_DRAIN_S": services[name]["environment"]["QBD_DRAIN_S"]})
        assert settings.drain_s == DRAIN_S
        assert seconds(services[name]["stop_grace_period"]) > settings.drain_s + LONGEST_CALL_S
    assert seconds(services["worker"]["stop_grace_period"]) > STOP_GRACE.total_seconds()


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_old_things_are_pruned_every_day(services: dict[str, Any]) -> None:
    prune = services["prune"]
    assert prune["command"] == ["prune", "--daily"]
    assert load_settings({"QBD_RETENTION_DAYS": prune["environment"]["QBD_RETENTION_DAYS"]}).retention_days == KEPT_DAYS
    assert prune["deploy"].get("replicas", 1) == 1


def test_the_order_of_starts(services: dict[str, Any]) -> None:
    """A job is waited for until it ended well, anything else until it is healthy; there is no circle."""
    graph = {}
    for name, service in services.items():
        graph[name] = set(service.get("depends_on", {}))
        for needed, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if needed in JOBS else "service_healthy"
            assert how["condition"] == wanted, (name, needed)
    order = list(TopologicalSorter(graph).static_order())
    for name in ("bridge", "api", "worker"):
        assert graph[name] == {"migrate", "temporal-setup"}
        assert services[name]["deploy"]["replicas"] == 2
        assert "container_name" not in services[name]
    assert order.index("temporal-schema") < order.index("temporal") < order.index("temporal-setup")


def test_ports_are_the_settings(services: dict[str, Any]) -> None:
    """What Caddy asks is where bridge and API listen, whatever the file says beside it."""
    assert load_settings(ports_of(services["bridge"])).soap_port == SOAP_PORT
    assert load_settings(ports_of(services["api"])).api_port == API_PORT
    caddyfile = (PROJECT / "deploy" / "Caddyfile").read_text("utf-8")
    assert f"{{$BRIDGES:bridge:{SOAP_PORT}}}" in caddyfile
    assert f"{{$APIS:api:{API_PORT}}}" in caddyfile
    known = set(re.findall(r"\{\$(\w+)", caddyfile))
    assert set(services["caddy"]["environment"]) <= known


def ports_of(service: dict[str, Any]) -> dict[str, str]:
    return {key: value for key, value in service["environment"].items() if key.endswith("_PORT")}


def most_connections() -> tuple[int, int]:
    """What a process may open at most, and a bridge."""
    database = Database("postgresql://nobody@127.0.0.1/nothing")
    pools = [engine.pool for engine in database.engines if isinstance(engine.pool, QueuePool)]
    usual, *of_bridges = (pool.size() + pool._max_overflow for pool in pools)
    return usual, usual + sum(of_bridges)


def test_connections_that_our_processes_may_open_are_told() -> None:
    """Whoever runs more of them raises PostgreSQL's own limit by this number."""
    usual, of_bridge = most_connections()
    told = re.compile(r"bridge opens up to (\d+) connections.*?other process up to (\d+)", re.DOTALL)
    for page in (PROJECT / "docs" / "deploy.md", compose_file.FILE):
        assert told.findall(page.read_text("utf-8")) == [(str(of_bridge), str(usual))], page.name


def test_what_a_user_may_set_is_documented() -> None:
    page = (PROJECT / "docs" / "deploy.md").read_text("utf-8")
    settings = {row.name for row in settings_table()}
    for name in compose_file.user_variables() - settings:
        assert f"`{name}`" in page, name
