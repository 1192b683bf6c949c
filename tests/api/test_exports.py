"""Exports over the API, with an exporter that only remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from store import exports, outbox
from store.tables import Company, Export
from workflows.contracts import ExportState

from .conftest import KEY, NOW, World, a_bill, an_invoice

PANEL = "/v1/companies/acme/exports/invoice/inv_48213"


def _rows(world: World) -> int:
    with world.database.transaction() as session:
        return session.scalar(select(func.count()).select_from(Export)) or 0


def _set(world: World, state: ExportState, **values: Any) -> None:
    with world.database.transaction() as session:
        row = exports.find_export(session, "acme", "invoice", "inv_48213")
        assert row is not None
        row.state = state
        for name, value in values.items():
            setattr(row, name, value)
        exports.add_timeline(session, row.id, at=NOW, state=state, text=f"now {state}", key=f"test/{state}")


def _failure(code: str) -> dict[str, Any]:
    return {
        "code": code,
        "message": "QuickBooks said no",
        "explanation": "It failed.",
        "owner": "bookkeeper",
        "next_step": "Look.",
    }


async def test_new_document_is_started(world: World) -> None:
    """A good document gives 202, one row and one start that carries the document as posted."""
    await world.connect()
    answer = await world.export(an_invoice())
    assert answer.status_code == 202
    panel = answer.json()
    assert (panel["state"], panel["status"]) == ("Mapped", "Pending")
    assert panel["workflow"] == {
        "id": "export/acme/invoice/inv_48213",
        "run_id": None,
        "ui_url": "http://ui/export/acme/invoice/inv_48213/",
    }
    [(inp, workflow_id, summary, after_run)] = world.exporter.starts
    assert inp.document == an_invoice()
    assert inp.confirmed_absent is False
    assert (workflow_id, summary, after_run) == ("export/acme/invoice/inv_48213", "Invoice INV-2026-004821", None)


async def test_same_document_again_is_the_same_export(world: World) -> None:
    """The same content, written differently, answers 200 with the same export."""
    await world.connect()
    first = await world.export(an_invoice())
    second = await world.export(an_invoice(total="2062.5", memo=None))
    assert (second.status_code, second.json()) == (200, first.json())
    assert _rows(world) == 1
    assert {start[1] for start in world.exporter.starts} == {"export/acme/invoice/inv_48213"}


async def test_simultaneous_clients_get_one_export(
    world: World, serving: Callable[[FastAPI], AbstractContextManager[str]]
) -> None:
    """Eight clients over real sockets end with one row and one answer."""
    await world.connect()
    with serving(world.app) as url:
        async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30) as http:
            answers = await asyncio.gather(
                *(http.post("/v1/companies/acme/exports", json={"document": an_invoice()}) for _ in range(8))
            )
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [202]
    assert len({answer.text for answer in answers}) == 1
    assert _rows(world) == 1


async def test_other_content_is_a_conflict(world: World) -> None:
    """Another content is refused while under way and after success; nothing is started."""
    await world.connect()
    await world.export(an_invoice())
    other = an_invoice(memo="changed")
    under_way = await world.export(other)
    assert (under_way.status_code, under_way.json()["code"]) == (409, "content_differs_under_way")
    _set(world, ExportState.SUCCESSFUL, quickbooks={"txn_id": "1-1"})
    done = await world.export(other)
    assert (done.status_code, done.json()["code"]) == (409, "already_exported")
    same = await world.export(an_invoice())
    assert (same.status_code, same.json()["quickbooks"]["txn_id"]) == (200, "1-1")
    assert len(world.exporter.starts) == 1


async def test_a_successful_export_does_not_depend_on_todays_mapping(world: World) -> None:
    """Asking again after the mapping changed still gives the same export."""
    await world.connect()
    await world.export(an_invoice())
    await world.http.put("/v1/companies/acme/mapping", json={})
    assert (await world.export(an_invoice())).status_code == 200


@pytest.mark.parametrize("state", [ExportState.FAILED, ExportState.CANCELLED])
async def test_changed_document_after_the_end_starts_again(world: World, state: ExportState) -> None:
    """After a failure or a cancellation the mended document is exported, after the run that ended."""
    await world.connect()
    await world.export(an_invoice())
    _set(world, state, error=_failure("3140"), owner="bookkeeper", run_id="run-1")
    answer = await world.export(an_invoice(memo="mended"))
    panel = answer.json()
    assert answer.status_code == 202
    assert (panel["state"], panel["detail"], panel["error"]) == ("Mapped", "Starting again", None)
    inp, *_, after_run = world.exporter.starts[-1]
    assert inp.document["memo"] == "mended"
    assert after_run == "run-1"


async def test_retry_only_after_the_end(world: World) -> None:
    """Retry is refused while Pending and when Successful; after a failure it starts the stored document."""
    await world.connect()
    await world.export(an_invoice())
    for state in (ExportState.MAPPED, ExportState.QUEUED, ExportState.SENT, ExportState.SUCCESSFUL):
        _set(world, state)
        refused = await world.http.post(f"{PANEL}/retry")
        assert (refused.status_code, refused.json()["code"]) == (409, "not_retryable")
    _set(world, ExportState.FAILED, error=_failure("3140"), owner="bookkeeper")
    answer = await world.http.post(f"{PANEL}/retry")
    assert (answer.status_code, answer.json()["status"]) == (202, "Pending")
    assert world.exporter.starts[-1][0].document == an_invoice()


async def test_retry_checks_the_mapping_first(world: World) -> None:
    """A retry that would fail at once is refused with its reasons."""
    await world.connect()
    await world.export(an_invoice())
    _set(world, ExportState.FAILED, error=_failure("3140"))
    await world.http.delete("/v1/companies/acme/mapping/customers/cus_88")
    answer = await world.http.post(f"{PANEL}/retry")
    assert answer.status_code == 422
    assert (await world.http.get(PANEL)).json()["state"] == "Failed"


async def test_unknown_outcome_needs_a_word_of_a_person(world: World) -> None:
    """What may already be in QuickBooks is sent again only after somebody says it is not there."""
    await world.connect()
    await world.export(an_invoice())
    _set(world, ExportState.FAILED, error=_failure("outcome_unknown"))
    for refused in (
        await world.http.post(f"{PANEL}/retry"),
        await world.http.post(f"{PANEL}/retry", json={"confirm_not_in_quickbooks": False}),
        await world.export(an_invoice()),
        await world.export(an_invoice(memo="other")),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "may_be_in_quickbooks")
    assert len(world.exporter.starts) == 1
    answer = await world.http.post(f"{PANEL}/retry", json={"confirm_not_in_quickbooks": True})
    assert answer.status_code == 202
    assert world.exporter.starts[-1][0].confirmed_absent is True


async def test_temporal_away_loses_nothing(world: World) -> None:
    """What is accepted waits in the outbox, however long Temporal is away; asking again is the same export."""
    await world.connect()
    world.exporter.is_away = True
    answer = await world.export(an_invoice())
    assert (answer.status_code, answer.json()["status"]) == (202, "Pending")
    assert (await world.export(an_invoice())).status_code == 200
    assert len(world.exporter.starts) == 1
    world.exporter.deliver()
    _set(world, ExportState.FAILED, error=_failure("3140"), run_id="run-1")
    assert (await world.http.post(f"{PANEL}/retry")).status_code == 202
    assert world.exporter.starts[-1][3] == "run-1"


async def test_an_export_that_never_started_can_be_taken_back_and_corrected(world: World) -> None:
    """Temporal is away: the wrong content does not block the right one."""
    await world.connect()
    world.exporter.is_away = True
    await world.export(an_invoice())
    corrected = an_invoice() | {"memo": "corrected"}
    assert (await world.export(corrected)).status_code == 409
    answer = await world.http.post(f"{PANEL}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "Cancelled")
    assert (await world.export(corrected)).status_code == 202
    assert world.exporter.starts[-1][0].document["memo"] == "corrected"


async def test_a_start_that_is_on_its_way_cannot_be_taken_back(world: World) -> None:
    """The relay has it in hand: the cancel goes to Temporal, or the client asks again in a moment."""
    await world.connect()
    await world.export(an_invoice())
    with world.database.transaction() as session:
        assert len(outbox.take(session, 10, now=NOW, hold_starts=timedelta(seconds=15))) == 1
    world.exporter.runs_nothing = True
    answer = await world.http.post(f"{PANEL}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_running")
    assert (await world.http.get(PANEL)).json()["state"] == "Mapped"
    world.exporter.is_away = True
    assert (await world.http.post(f"{PANEL}/cancel")).status_code == 503


async def test_a_person_can_say_that_it_is_there(world: World) -> None:
    """A Failed export is confirmed with or without its TxnID; it is Pending until QuickBooks was asked."""
    await world.connect()
    await world.export(an_invoice())
    world.exporter.deliver()
    early = await world.http.post(f"{PANEL}/confirm", json={})
    assert (early.status_code, early.json()["code"]) == (409, "not_confirmable")
    _set(world, ExportState.FAILED, error=_failure("outcome_unknown"), run_id="run-1", ref_number="26-004821")
    bad = await world.http.post(f"{PANEL}/confirm", json={"txn_id": "<x>"})
    assert bad.status_code == 422
    answer = await world.http.post(f"{PANEL}/confirm", json={"txn_id": "5A2B-1767225600"})
    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["quickbooks"]) == ("Pending", None)
    assert 'Key "tests" said that it is in QuickBooks under the TxnID 5A2B-1767225600' in str(answer.json()["timeline"])
    assert world.exporter.starts[-1][3] == "run-1"
    with world.database.transaction() as session:
        claim = session.scalars(select(Export)).one().claim
    assert claim == {"txn_id": "5A2B-1767225600", "by": 'key "tests"', "at": NOW.isoformat(), "is_seen": False}


async def test_what_was_found_is_adopted_or_exported_all_the_same(world: World) -> None:
    """A person decides about what resembles the document; who did is kept, and so is what they saw."""
    await world.connect()
    await world.export(an_invoice())
    world.exporter.deliver()
    early = await world.http.post(f"{PANEL}/resolve", json={"choice": "export_anyway"})
    assert (early.status_code, early.json()["code"]) == (409, "nothing_to_resolve")
    found = {"txn_id": "1A-1", "number": "26-004821", "date": "2026-11-23", "total": "1850.00", "party": "Cafe Rio"}
    failed = {**_failure("found_in_quickbooks"), "candidates": [found]}
    _set(world, ExportState.FAILED, error=failed, run_id="run-1", ref_number="26-004821")
    assert (await world.http.get(PANEL)).json()["error"]["candidates"] == [found]
    nameless = await world.http.post(f"{PANEL}/resolve", json={"choice": "adopt"})
    assert (nameless.status_code, nameless.json()["code"]) == (422, "txn_id_missing")
    adopted = await world.http.post(f"{PANEL}/resolve", json={"choice": "adopt", "txn_id": "1A-1"})
    assert (adopted.status_code, adopted.json()["status"]) == (202, "Pending")
    with world.database.transaction() as session:
        row = session.scalars(select(Export)).one()
        assert row.claim is not None
        assert (row.claim["txn_id"], row.claim["is_seen"]) == ("1A-1", True)
    _set(world, ExportState.FAILED, error=failed, run_id="run-2")
    anyway = await world.http.post(f"{PANEL}/resolve", json={"choice": "export_anyway"})
    assert (anyway.status_code, anyway.json()["status"]) == (202, "Pending")
    with world.database.transaction() as session:
        row = session.scalars(select(Export)).one()
        assert (row.claim, row.ruled_out) == (None, ["1A-1"])
    _set(world, ExportState.FAILED, error=_failure("3140"), run_id="run-3")
    nothing = await world.http.post(f"{PANEL}/resolve", json={"choice": "export_anyway"})
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_to_resolve")


async def test_cancel_only_before_sent(world: World) -> None:
    """Cancelling asks the workflow while Pending, and is refused once sent or ended."""
    await world.connect()
    await world.export(an_invoice())
    world.exporter.deliver()
    answer = await world.http.post(f"{PANEL}/cancel", json={"reason": "wrong load"})
    assert answer.status_code == 202
    assert world.exporter.cancels == [("export/acme/invoice/inv_48213", "wrong load")]
    world.exporter.runs_nothing = True
    _set(world, ExportState.QUEUED)
    assert (await world.http.post(f"{PANEL}/cancel")).json()["code"] == "not_running"
    for state, code in (
        (ExportState.SENT, "already_sent"),
        (ExportState.SUCCESSFUL, "already_final"),
        (ExportState.FAILED, "already_final"),
        (ExportState.CANCELLED, "already_final"),
    ):
        _set(world, state)
        refused = await world.http.post(f"{PANEL}/cancel")
        assert (refused.status_code, refused.json()["code"]) == (409, code)


async def test_panel_while_queued_says_who_is_awaited(world: World) -> None:
    """The detail names the Web Connector's last contact, or what to check."""
    await world.connect()
    await world.export(an_invoice())
    _set(world, ExportState.QUEUED, detail="Waiting for the Web Connector")

    async def detail() -> str:
        return str((await world.http.get(PANEL)).json()["detail"])

    assert "never called" in await detail()
    assert "https://qbd.example.com/qbwc" in await detail()
    with world.database.transaction() as session:
        company = session.get(Company, "acme")
        assert company is not None
        company.last_seen_at = NOW - timedelta(hours=3)
    assert "last seen at 2026-11-23 07:00 UTC" in await detail()
    assert "it is late" in await detail()


async def test_panel_after_a_failure(world: World) -> None:
    """The panel shows the error, its owner and the timeline."""
    await world.connect()
    await world.export(an_invoice())
    _set(world, ExportState.FAILED, error=_failure("3140"), owner="bookkeeper", detail="It failed.", run_id="r1")
    panel = (await world.http.get(PANEL)).json()
    assert panel["error"] == _failure("3140") | {"issues": [], "candidates": []}
    assert panel["status"] == "Failed"
    assert [(entry["state"], entry["text"]) for entry in panel["timeline"]] == [("Failed", "now Failed")]
    assert panel["workflow"]["run_id"] == "r1"


async def test_list_filters_and_pages(world: World) -> None:
    """Filters narrow the list; following the cursor gives every export once, newest first."""
    await world.connect()
    for index in range(3):
        assert (await world.export(an_invoice(id=f"inv_{index}", number=f"N{index}"))).status_code == 202
    assert (await world.export(a_bill())).status_code == 202
    assert (await world.export(an_invoice())).status_code == 202
    _set(world, ExportState.FAILED, error=_failure("3140"), owner="bookkeeper")
    base = "/v1/companies/acme/exports"

    async def ids(query: str) -> list[str]:
        return [item["document_id"] for item in (await world.http.get(f"{base}?{query}")).json()["items"]]

    assert await ids("status=Failed") == ["inv_48213"]
    assert await ids("owner=bookkeeper") == ["inv_48213"]
    assert await ids("kind=carrier_bill&status=Pending") == ["bill_1"]
    assert await ids("number=N1") == ["inv_1"]
    assert await ids("state=Mapped&status=Failed") == []
    seen, cursor = [], ""
    while True:
        page = (await world.http.get(f"{base}?limit=2{cursor}")).json()
        seen += [item["document_id"] for item in page["items"]]
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    assert seen == ["inv_48213", "bill_1", "inv_2", "inv_1", "inv_0"]
    for bad in ("state=Lost", "limit=0", "cursor=x", "number=%00"):
        assert (await world.http.get(f"{base}?{bad}")).status_code == 422


async def test_preview_sends_nothing(world: World) -> None:
    """A preview shows the qbXML and what is changed, or the reasons; no row, no start."""
    await world.connect()
    base = "/v1/companies/acme/exports/preview"
    good = (await world.http.post(base, json={"document": an_invoice()})).json()
    assert good["issues"] == []
    assert good["qbxml"].startswith("<InvoiceAddRq")
    assert good["ref_number"] in good["qbxml"]
    assert "number" in {change["path"] for change in good["changes"]}
    bad = (await world.http.post(base, json={"document": an_invoice(customer={"id": "x", "name": "X"})})).json()
    assert bad["qbxml"] is None
    assert len(bad["issues"]) == 1
    unreadable = (await world.http.post(base, json={"document": {"kind": "letter"}})).json()
    assert [issue["code"] for issue in unreadable["issues"]] == ["kind_unknown"]
    assert _rows(world) == 0
    assert world.exporter.starts == []


def _lines(*amounts: str, charge: str = "LINEHAUL") -> list[dict[str, Any]]:
    return [{"id": str(index), "charge": charge, "amount": amount} for index, amount in enumerate(amounts)]


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (an_invoice(lines=_lines("10.00", charge="DETENTION"), total="10.00"), "lines[0].charge"),
        (an_invoice(customer={"id": "cus_99", "name": "Nobody"}), "customer.id"),
        (an_invoice(total="2062.51"), "total"),
        (an_invoice(lines=_lines("-10.00"), total="-10.00"), "total"),
        (an_invoice(currency="XXY"), "currency"),
        (an_invoice(number="N" * 121), "number"),
        (an_invoice(date="20.11.2026"), "date"),
        (an_invoice(lines=[]), "lines"),
        (an_invoice(total=2062.5), "total"),
        (an_invoice(surprise=1), "surprise"),
        (an_invoice(customer={"id": "cus_88", "name": "N" * 121}), "customer.name"),
        ({"id": "x"}, "kind"),
        (a_bill(carrier={"id": "car_9", "name": "Nobody"}), "carrier.id"),
    ],
)
async def test_bad_document_is_refused_with_its_place(world: World, document: dict[str, Any], path: str) -> None:
    """Each reason has a code, a place and a next step; nothing is stored and nothing started."""
    await world.connect()
    answer = await world.export(document)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "document_not_exportable")
    assert path in [issue["path"] for issue in problem["issues"]]
    assert all(issue["code"] and issue["message"] and issue["next_step"] for issue in problem["issues"])
    assert _rows(world) == 0
    assert world.exporter.starts == []


async def test_every_reason_is_told_at_once(world: World) -> None:
    """An unlinked customer and two unmapped charges are three issues of one answer."""
    await world.connect(mapping={})
    problem = (await world.export(an_invoice(terms=None))).json()
    assert {"customer.id", "lines[0].charge", "lines[1].charge"} <= {issue["path"] for issue in problem["issues"]}


async def test_a_document_that_temporal_would_not_take_is_refused_at_once(world: World) -> None:
    """Otherwise it would wait for ever, accepted and never started."""
    await world.connect()
    line = {"charge": "LINEHAUL", "amount": "1.00", "description": "x" * 2000}
    lines = [{**line, "id": str(number)} for number in range(900)]
    answer = await world.export(an_invoice(lines=lines, total="900.00"))
    assert (answer.status_code, answer.json()["code"]) == (422, "document_too_large")
    assert world.exporter.starts == []


async def test_a_word_that_was_taken_back_is_forgotten(world: World) -> None:
    """A later retry is an export, and no look-up of what somebody said once."""
    await world.connect()
    await world.export(an_invoice())
    world.exporter.forget()
    _set(world, ExportState.FAILED, error=_failure("3140"), run_id="run-1")
    assert (await world.http.post(f"{PANEL}/confirm")).status_code == 202
    world.exporter.runs_nothing = True
    answer = await world.http.post(f"{PANEL}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "Cancelled")
    with world.database.transaction() as session:
        assert session.scalars(select(Export)).one().claim is None
