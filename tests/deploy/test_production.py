"""The production shape runs: jobs, two of each process, one Web Connector, one export to Successful."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import httpx
import pytest

from ops.ports import free_ports
from simulator.qwc import read_qwc
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from tests.deploy.behind import ToLoopback
from tests.deploy.production import Production, api_client
from tests.support import postgres, stores

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    if postgres.binaries() is None:
        pytest.skip("no PostgreSQL is installed")
    production = Production(tmp_path_factory.mktemp("production"))
    try:
        production.start_postgresql()
        production.start_temporal(production.folder / "temporal.sqlite")
        yield production
    finally:
        production.close()


def test_roles_may_not_enter_what_is_not_theirs(production: Production) -> None:
    """Ours sees its own database, Temporal's its two; each needs its password."""
    server = production.postgresql
    passwords = {role: (production.secrets / f"{role}_db_password").read_text().strip() for role in ("qbd", "temporal")}
    may = {"qbd": {"qbd"}, "temporal": {"temporal", "temporal_visibility"}}
    for role, own in may.items():
        for database in ("qbd", "temporal", "temporal_visibility", "postgres"):
            ask = ("psql", "-X", "-w", "-U", role, "-d", database, "-c", "select 1")
            if database in own:
                server.run(*ask, PGPASSWORD=passwords[role])
                with pytest.raises(AssertionError, match="password authentication failed"):
                    server.run(*ask, PGPASSWORD="wrong")
            else:
                with pytest.raises(AssertionError, match="permission denied for database"):
                    server.run(*ask, PGPASSWORD=passwords[role])


def test_one_export_becomes_successful(production: Production) -> None:
    """Every job and process has the file's command and environment; a killed bridge leaves the other at work."""
    assert "is at this program's version" in production.job("migrate")
    first = production.job("temporal-setup")
    assert "made" in first
    again = production.job("temporal-setup")
    assert "made" not in again
    assert again.splitlines()[0] == "namespace tms-quickbooks: is there, keeps what has ended for 30 days"
    soap, soap_2, api, api_2, metrics, metrics_2 = free_ports(6)
    production.start(
        ("bridge-1", "bridge", {"QBD_SOAP_PORT": soap}),
        ("bridge-2", "bridge", {"QBD_SOAP_PORT": soap_2}),
        ("api-1", "api", {"QBD_API_PORT": api}),
        ("api-2", "api", {"QBD_API_PORT": api_2}),
        ("worker-1", "worker", {"QBD_METRICS_PORT": metrics}),
        ("worker-2", "worker", {"QBD_METRICS_PORT": metrics_2}),
    )
    key = production.qbd("keys", "create", "tms").split()[-1]
    with api_client(api, key) as client, httpx.Client(transport=ToLoopback(soap, soap_2), trust_env=False) as http:
        made = client.post(
            "/v1/companies",
            json={"id": "acme", "name": "Acme", "quickbooks_release": "2024", "confirm_first_file": False},
        ).json()
        client.put("/v1/companies/acme/mapping", json=stores.MAPPING)
        qwc = read_qwc(client.get("/v1/companies/acme/qwc").text)
        assert qwc.app_url == "https://qb.example.com/qbwc"
        quickbooks = freight_company("Acme")
        connector = WebConnector(qwc, made["password"], quickbooks, http=http)
        posted = client.post("/v1/companies/acme/exports", json={"document": stores.an_invoice("inv_1")})
        assert posted.status_code == 202

        def is_there() -> bool:
            assert connector.run_once().outcome in ("ok", "none")
            return bool(client.get("/v1/companies/acme/exports/invoice/inv_1").json()["status"] == "Successful")

        production.wait(is_there, "the invoice is in QuickBooks")
        assert len(quickbooks.ledger) == 1
    with api_client(api_2, key) as other:
        assert other.get("/v1/companies/acme/exports/invoice/inv_1").json()["status"] == "Successful"
        assert other.get("/readyz").json() == {"status": "ok", "database": "ok", "temporal": "ok"}
    said = production.qbd("doctor", "acme")
    assert "1 Successful" in said
    production.end("bridge-1", signal.SIGKILL)
    production.end("worker-1", signal.SIGKILL)
    production.end("api-1", signal.SIGKILL)
    with api_client(api_2, key) as client, httpx.Client(transport=ToLoopback(soap_2), trust_env=False) as http:
        connector = WebConnector(qwc, made["password"], quickbooks, http=http)
        client.post("/v1/companies/acme/exports", json={"document": stores.an_invoice("inv_2")})

        def both_there() -> bool:
            connector.run_once()
            items = client.get("/v1/companies/acme/exports").json()["items"]
            return [one["status"] for one in items] == ["Successful"] * 2

        production.wait(both_there, "the second invoice is in QuickBooks")
    assert len(quickbooks.ledger) == 2
    for name in ("bridge-2", "api-2", "worker-2"):
        assert production.end(name) == 0, name
    assert not (production.folder / "no").exists(), "something was written to the data folder"


def test_nothing_secret_is_in_the_logs(production: Production) -> None:
    held = {path.read_text().strip() for path in production.secrets.iterdir()}
    held |= {(production.secrets / "qbd_db_password").read_text().strip()}
    for log in production.folder.glob("*.log"):
        text = log.read_text("utf-8", "replace")
        assert not [one for one in held if one in text], log.name
