"""Every route's example in the OpenAPI document is a real answer and fits its schema.

After a change: QBD_UPDATE_GOLDEN=1 ./qbd test tests/api/test_examples.py collects them anew.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from typing import Any

import httpx
import jsonschema_rs

from simulator.sample_company import freight_company
from store import exports
from store.webhook_tables import WebhookDelivery
from tests.support import stores
from tests.support.company_files import store_lists
from tms_api.examples import FILE

from .conftest import MAPPING, NOW, World, an_invoice

ONE = "/v1/companies/acme"
DOCUMENT = "invoice/inv_48213"
EXAMPLE_MAPPING = MAPPING | {
    "charges": {**MAPPING["charges"], "FUEL": {"invoice": {"item": {"full_name": "Fuel Surcharge"}}}}
}
SECRET = {"password": "mYx3-Jm0t_2bqv8cQ1dZkR7w", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}


class Collector:
    """Sends requests and keeps each route's first good answer."""

    def __init__(self, world: World, paths: dict[str, Any]) -> None:
        self._http = world.http
        self._templates = {
            path: re.compile("[^/]+".join(re.escape(part) for part in re.split(r"\{[^}]*\}", path)) + "$")
            for path in paths
        }
        self.found: dict[str, dict[str, Any]] = {}

    async def send(self, method: str, path: str, body: Any = None) -> Any:
        answer: httpx.Response = await self._http.request(method, path, json=body)
        assert answer.is_success, answer.text
        names = [name for name, pattern in self._templates.items() if pattern.match(path.partition("?")[0])]
        template = min(names, key=lambda name: name.count("{"))
        example: dict[str, Any] = {"status": str(answer.status_code)}
        if body is not None:
            example["body"] = body
        shown = None
        if answer.headers.get("content-type") == "application/json":
            shown = answer.json()
            example["answer"] = _scrubbed(shown)
        self.found.setdefault(f"{method} {template}", example)
        return shown


def _scrubbed(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name: SECRET.get(name, _scrubbed(value)) for name, value in answer.items()}
    if isinstance(answer, list):
        return [_scrubbed(value) for value in answer]
    if isinstance(answer, str):
        answer = re.sub(r"wh_[0-9a-f]{20}", "wh_0f8fad5bd9cb469fa165", answer)
        answer = re.sub(r"\{[0-9A-F]{8}-[-0-9A-F]{27}\}", "{57F3B9B6-86F1-4FCC-B1FF-966DE1813D20}", answer)
        return answer.replace("http://api/", "https://api.example.com/").replace(
            "http://ui/", "https://temporal.example.com/"
        )
    return answer


def _fail(world: World) -> None:
    with world.database.transaction() as session:
        row = exports.find_export(session, "acme", "invoice", "inv_48213")
        assert row is not None
        row.state = "Failed"
        row.owner = "bookkeeper"
        row.error = {
            "code": "3140",
            "message": "There is an invalid reference to QuickBooks Customer in the Invoice.",
            "explanation": "QuickBooks does not know the customer.",
            "owner": "bookkeeper",
            "next_step": "Choose the QuickBooks customer in the mapping, then retry.",
        }


async def _collect_lists_and_mapping(call: Collector, world: World) -> None:
    await call.send("POST", f"{ONE}/sync", {"full": False})
    clock = stores.Clock()
    await asyncio.to_thread(store_lists, world.database, freight_company("Acme Logistics LLC", clock=clock))
    await call.send("GET", f"{ONE}/external-items?kind=item&q=fuel")
    await call.send("PUT", f"{ONE}/mapping", EXAMPLE_MAPPING)
    await call.send("GET", f"{ONE}/mapping")
    await call.send("PUT", f"{ONE}/mapping/terms/Net%2030", {"full_name": "Net 30"})
    await call.send("GET", f"{ONE}/mapping/issues")
    await call.send("GET", f"{ONE}/mapping/targets?place=charges/invoice&q=fuel")
    pasted = {"section": "customers", "text": "cus_91,Cafe Rio Foods", "save": True}
    await call.send("POST", f"{ONE}/mapping/paste", pasted)
    changes = await call.send("GET", f"{ONE}/mapping/changes")
    await call.send("POST", f"{ONE}/mapping/changes/{changes['items'][0]['id']}/undo")
    await call.send("DELETE", f"{ONE}/mapping/terms/Net%2030")
    await call.send("POST", f"{ONE}/mapping/suggestions", {"documents": [an_invoice()]})
    await call.send("GET", f"{ONE}/mapping/suggestions")
    await call.send("POST", f"{ONE}/mapping/suggestions/accept", {"min_score": 90})
    await world.http.put(f"{ONE}/mapping/terms/Net%2030", json={"full_name": "Net 30"})
    await call.send("GET", f"{ONE}/notices")
    await call.send("POST", f"{ONE}/rebind")
    await call.send("DELETE", f"{ONE}/rebind")


async def collect(world: World, paths: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A day in the life of a TMS."""
    unlinked = an_invoice(id="inv_48214", number="INV-2026-004822", customer={"id": "cus_90", "name": "New Customer"})
    call = Collector(world, paths)
    await call.send("GET", "/v1/releases")
    company = {"id": "acme", "name": "Acme Logistics LLC", "quickbooks_release": "Enterprise 24.0"}
    await call.send("POST", "/v1/companies", company)
    for path in ("/v1/companies", ONE, f"{ONE}/steps", f"{ONE}/qwc"):
        await call.send("GET", path)
    await call.send("PATCH", ONE, {"run_every_minutes": 20})
    await call.send("POST", f"{ONE}/password", {"grace_minutes": 60})
    await call.send("POST", f"{ONE}/rotate-ids")
    await call.send("POST", f"{ONE}/console-link")
    quiet = {"from": "22:00", "until": "05:30", "time_zone": "America/Chicago"}
    await call.send("PUT", f"{ONE}/quiet-hours", quiet)
    await call.send("DELETE", f"{ONE}/quiet-hours")
    await _collect_lists_and_mapping(call, world)
    hook = await call.send("POST", f"{ONE}/webhooks", {"url": "https://tms.example.com/hooks/quickbooks"})
    one_hook = f"{ONE}/webhooks/{hook['id']}"
    await call.send("GET", f"{ONE}/webhooks")
    await call.send("GET", one_hook)
    await call.send("PATCH", one_hook, {"events": ["export.successful", "export.failed"]})
    await call.send("POST", f"{one_hook}/rotate-secret", {"grace_minutes": 1440})
    with world.database.transaction() as session:
        session.add(
            WebhookDelivery(
                id="msg_2b7e151628aed2a6abf7158809cf4f3c",
                webhook_id=hook["id"],
                company_id="acme",
                event="export.sent",
                payload={"type": "export.sent", "timestamp": NOW.isoformat(), "data": {"company_id": "acme"}},
                state="failed",
                attempts=3,
                last_status=503,
                last_error="The receiver answered 503.",
                created_at=NOW,
                available_at=NOW,
            )
        )
    await call.send("GET", f"{one_hook}/deliveries")
    await call.send("POST", f"{one_hook}/deliveries/msg_2b7e151628aed2a6abf7158809cf4f3c/redeliver")
    await call.send("PUT", f"{ONE}/documents/{DOCUMENT}", an_invoice())
    await call.send("GET", f"{ONE}/documents")
    await call.send("POST", f"{ONE}/exports/preview", {"document": an_invoice()})
    await call.send("POST", f"{ONE}/exports", {"document": an_invoice()})
    await call.send("GET", f"{ONE}/documents/{DOCUMENT}")
    await call.send("POST", f"{ONE}/documents/{DOCUMENT}/export", {})
    await call.send("POST", f"{ONE}/exports/bulk", {"documents": [an_invoice(), unlinked]})
    await call.send("GET", f"{ONE}/exports")
    await call.send("POST", f"{ONE}/exports/{DOCUMENT}/cancel", {"reason": "wrong load"})
    await call.send("POST", f"{ONE}/exports/cancel", {"filter": {"kind": "invoice"}, "reason": "wrong month"})
    _fail(world)
    await call.send("GET", f"{ONE}/exports/{DOCUMENT}")
    await call.send("POST", f"{ONE}/exports/{DOCUMENT}/retry", {"confirm_not_in_quickbooks": False})
    _fail(world)
    await call.send("POST", f"{ONE}/exports/retry", {"filter": {"code": "3140"}})
    _fail(world)
    await call.send("POST", f"{ONE}/exports/{DOCUMENT}/confirm", {"txn_id": "5A2B-1767225600"})
    _fail(world)
    await call.send("POST", f"{ONE}/exports/{DOCUMENT}/resolve", {"choice": "adopt", "txn_id": "5A2B-1767225600"})
    await call.send("DELETE", f"{ONE}/documents/{DOCUMENT}")
    await call.send("DELETE", one_hook)
    return call.found


async def test_every_route_has_an_example(world: World) -> None:
    """Each operation that takes or gives JSON has one, and the file holds none of a route that is gone."""
    spec = (await world.http.get("/openapi.json")).json()
    found = await collect(world, spec["paths"])
    if os.environ.get("QBD_UPDATE_GOLDEN"):
        FILE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", "utf-8")
    kept = json.loads(FILE.read_text("utf-8"))
    assert set(kept) == set(found)
    wanted = {
        f"{method.upper()} {path}"
        for path, operations in spec["paths"].items()
        for method, operation in operations.items()
        if path.startswith("/v1")
    }
    assert wanted <= set(kept)


async def test_the_examples_fit_their_schemas(world: World) -> None:
    """Bodies and answers alike; no example holds a real secret."""
    spec = (await world.http.get("/openapi.json")).json()
    checked = 0
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            parts = [answer.get("content", {}) for answer in operation["responses"].values()]
            parts.append(operation.get("requestBody", {}).get("content", {}))
            for part in parts:
                media = part.get("application/json", {})
                if "example" in media:
                    schema = media["schema"] | {"components": spec["components"]}
                    errors = list(jsonschema_rs.validator_for(schema).iter_errors(media["example"]))
                    assert not errors, (method, path, errors[0].message)
                    checked += 1
    assert checked >= 40
