"""Fix and go on: what failed for an entry of the mapping starts again when that entry is saved."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from activities.exports import ExportActivities
from mapping.issues import Owner
from store import exports, waits
from store.engine import Database
from store.tables import Company, Export
from store.wait_tables import ExportWait
from tms_api.auto_retry import AutoRetry
from workflows.contracts import ExportState, Failure, PrepareInput, RecordInput

from .conftest import NOW, World, an_invoice

BASE = "/v1/companies/acme/mapping"
TERMS = {"full_name": "Net 30"}


@pytest_asyncio.fixture
async def retry(world: World) -> AsyncIterator[AutoRetry]:
    world.app.state.auto_retry = AutoRetry(world.app.state.services)
    yield world.app.state.auto_retry
    world.app.state.auto_retry.stop()


def _activities(database: Database) -> ExportActivities:
    numbers = itertools.count(1)
    return ExportActivities(database, clock=lambda: NOW, new_id=lambda: f"REQ{next(numbers):05d}")


def _fail(world: World, *documents: dict[str, Any]) -> None:
    """Let exports fail in their first step, as the workflow would."""
    activities = _activities(world.database)
    for document in documents:
        prepared = activities.prepare_export(
            PrepareInput(company_id="acme", document=document, run_id=f"run-{document['id']}")
        )
        assert prepared.failure is not None, prepared


def _refuse(world: World, document_id: str, code: str, message: str) -> None:
    """Let an export end as QuickBooks' answer would."""
    failure = Failure(code=code, message=message, explanation="No.", owner=Owner.BOOKKEEPER, next_step="Look.")
    _activities(world.database).record_state(
        RecordInput(
            company_id="acme",
            kind="invoice",
            document_id=document_id,
            run_id="r",
            state=ExportState.FAILED,
            text="No.",
            key="end",
            failure=failure,
        )
    )


def _awaited(world: World, document_id: str = "inv_48213") -> list[str]:
    with world.database.transaction() as session:
        row = exports.find_export(session, "acme", "invoice", document_id)
        assert row is not None
        return waits.awaited(session, row.id)


def _states(world: World) -> dict[str, str]:
    with world.database.transaction() as session:
        return {row.document_id: row.state for row in session.scalars(select(Export))}


def _started(world: World) -> list[str]:
    return [start[1].rsplit("/", 1)[-1] for start in world.exporter.starts]


async def _connected(world: World, without: str = "terms") -> None:
    await world.connect()
    mapping = (await world.http.get(BASE)).json()
    await world.http.put(BASE, json={**mapping, without: {}})


async def test_saving_the_entry_starts_what_waited_for_it(world: World, retry: AutoRetry) -> None:
    """Only what waited, only for this entry, and with the run that ended named."""
    await _connected(world)
    _fail(world, an_invoice(), an_invoice(id="other", terms="Net 99"))
    assert _awaited(world) == ["terms/Net 30"]
    assert _awaited(world, "other") == ["terms/Net 99"]
    assert (await world.http.put(f"{BASE}/customers/x", json={"full_name": "X"})).json()["retrying"] == 0
    saved = await world.http.put(f"{BASE}/terms/Net%2030", json=TERMS)
    assert saved.json()["retrying"] == 1
    await retry.idle()
    [(inp, workflow_id, _, after_run)] = world.exporter.starts
    assert (inp.document, workflow_id, after_run) == (an_invoice(), "export/acme/invoice/inv_48213", "run-inv_48213")
    assert _states(world) == {"inv_48213": "Mapped", "other": "Failed"}
    assert _awaited(world) == []
    assert _awaited(world, "other") == ["terms/Net 99"]


async def test_the_whole_mapping_starts_what_its_changes_help(world: World, retry: AutoRetry) -> None:
    await _connected(world)
    _fail(world, an_invoice())
    mapping = (await world.http.get(BASE)).json()
    assert (await world.http.put(BASE, json=mapping)).json()["retrying"] == 0
    changed = await world.http.put(BASE, json={**mapping, "terms": {"Net 30": TERMS}})
    assert changed.json()["retrying"] == 1
    await retry.idle()
    assert _started(world) == ["inv_48213"]


async def test_a_default_helps_too(world: World, retry: AutoRetry) -> None:
    await _connected(world, without="charges")
    _fail(world, an_invoice())
    assert _awaited(world) == ["charges/FUEL", "charges/LINEHAUL", "defaults/invoice"]
    saved = await world.http.put(f"{BASE}/defaults/invoice", json={"item": {"full_name": "Freight"}})
    assert saved.json()["retrying"] == 1
    await retry.idle()
    assert _started(world) == ["inv_48213"]


async def test_accepting_a_suggestion_is_saving(world: World, retry: AutoRetry) -> None:
    from datetime import UTC, datetime

    from simulator.sample_company import freight_company
    from tests.support.company_files import store_lists

    await world.connect(mapping={})
    _fail(world, an_invoice())
    store_lists(world.database, freight_company(clock=lambda: datetime(2026, 11, 23, 10, tzinfo=UTC)))
    answer = await world.http.post(f"{BASE}/suggestions/accept", json={"min_score": 90})
    assert answer.json()["retrying"] == 1, answer.text
    await retry.idle()
    assert _started(world) == ["inv_48213"]


async def test_what_still_lacks_something_waits_on(world: World, retry: AutoRetry) -> None:
    """Two entries missing: the first does not help yet, the second does."""
    await _connected(world)
    await world.http.delete(f"{BASE}/customers/cus_88")
    _fail(world, an_invoice())
    assert (await world.http.put(f"{BASE}/terms/Net%2030", json=TERMS)).json()["retrying"] == 1
    await retry.idle()
    assert world.exporter.starts == []
    assert _awaited(world) == ["customers/cus_88", "terms/Net 30"]
    await world.http.put(f"{BASE}/customers/cus_88", json={"full_name": "Cafe Rio Foods"})
    await retry.idle()
    assert _started(world) == ["inv_48213"]


async def test_a_reference_that_quickbooks_refused(world: World, retry: AutoRetry) -> None:
    """After 3140 the entry that it names is waited for; after a lock or an unknown outcome nothing is."""
    await world.connect()
    await world.export(an_invoice())
    world.exporter.forget()
    _refuse(world, "inv_48213", "3140", 'There is an invalid reference to QuickBooks Terms "Net 30" in the Invoice.')
    assert _awaited(world) == ["terms/Net 30"]
    await world.http.put(f"{BASE}/customers/cus_88", json={"full_name": "Cafe Rio Foods"})
    await retry.idle()
    assert world.exporter.starts == []
    await world.http.put(f"{BASE}/terms/Net%2030", json={"full_name": "Net 30 days"})
    await retry.idle()
    assert _started(world) == ["inv_48213"]


async def test_what_may_be_in_quickbooks_never_starts_by_itself(world: World, retry: AutoRetry) -> None:
    await world.connect()
    await world.export(an_invoice())
    world.exporter.forget()
    _refuse(world, "inv_48213", "outcome_unknown", "Nobody knows.")
    assert _awaited(world) == []
    with world.database.transaction() as session:
        row = exports.find_export(session, "acme", "invoice", "inv_48213")
        assert row is not None
        waits.set_waits(session, row, ["terms/Net 30"])
    assert (await world.http.put(f"{BASE}/terms/Net%2030", json=TERMS)).json()["retrying"] == 1
    await retry.idle()
    assert world.exporter.starts == []
    assert _states(world) == {"inv_48213": "Failed"}


async def test_a_company_can_switch_it_off(world: World, retry: AutoRetry) -> None:
    await _connected(world)
    assert (await world.http.get("/v1/companies/acme")).json()["auto_retry"] is True
    changed = await world.http.patch("/v1/companies/acme", json={"auto_retry": False})
    assert changed.json()["auto_retry"] is False
    assert (await world.http.patch("/v1/companies/acme", json={"auto_retry": "no"})).status_code == 422
    _fail(world, an_invoice())
    assert (await world.http.put(f"{BASE}/terms/Net%2030", json=TERMS)).json()["retrying"] == 0
    await retry.idle()
    assert world.exporter.starts == []
    assert (await world.http.post("/v1/companies/acme/exports/invoice/inv_48213/retry")).status_code == 202


async def test_a_temporal_that_is_away_loses_nothing(world: World, retry: AutoRetry) -> None:
    """The mapping is saved, and the starts wait in the outbox, each once."""
    await _connected(world)
    _fail(world, *(an_invoice(id=f"inv_{n}", number=f"N{n}") for n in range(3)))
    world.exporter.is_away = True
    saved = await world.http.put(f"{BASE}/terms/Net%2030", json=TERMS)
    assert (saved.status_code, saved.json()["retrying"]) == (200, 3)
    await retry.idle()
    assert sorted(_started(world)) == ["inv_0", "inv_1", "inv_2"]


async def test_a_process_that_ends_loses_nothing(world: World, retry: AutoRetry) -> None:
    """The next process takes up what is marked in the store."""
    await _connected(world)
    _fail(world, an_invoice())
    retry.wake = lambda company_id: None  # type: ignore[method-assign]
    assert (await world.http.put(f"{BASE}/terms/Net%2030", json=TERMS)).json()["retrying"] == 1
    assert world.exporter.starts == []
    following = AutoRetry(world.app.state.services)
    await following.resume()
    await following.idle()
    assert _started(world) == ["inv_48213"]
    world.exporter.forget()
    await following.resume()
    await following.idle()
    assert world.exporter.starts == []


async def test_one_that_fails_again_waits_again(world: World, retry: AutoRetry) -> None:
    """The new run fails for the same entry: what it waits for then is not forgotten."""
    await _connected(world)
    _fail(world, an_invoice())
    await world.http.put(f"{BASE}/terms/Net%2030", json=TERMS)
    await retry.idle()
    assert _started(world) == ["inv_48213"]
    assert _awaited(world) == []
    await asyncio.to_thread(_refuse, world, "inv_48213", "3140", 'reference to QuickBooks Terms "Net 30" in')
    assert _awaited(world) == ["terms/Net 30"]


async def test_what_a_person_cancelled_does_not_start_by_itself(world: World, retry: AutoRetry) -> None:
    """It had waited for more than the entry that was saved first."""
    await _connected(world, without="charges")
    _fail(world, an_invoice())
    fuel = {"invoice": {"item": {"full_name": "Fuel"}}}
    linehaul = {"invoice": {"item": {"full_name": "Linehaul"}}}
    await world.http.put(f"{BASE}/charges/FUEL", json=fuel)
    await world.http.put(f"{BASE}/charges/LINEHAUL", json=linehaul)
    await retry.idle()
    assert _started(world) == ["inv_48213"]
    world.exporter.runs_nothing = True
    cancelled = await world.http.post("/v1/companies/acme/exports/invoice/inv_48213/cancel")
    assert cancelled.json()["state"] == "Cancelled"
    assert _awaited(world) == []
    saved = await world.http.put(f"{BASE}/defaults/invoice", json={"item": {"full_name": "Freight"}})
    assert saved.json()["retrying"] == 0
    await retry.idle()
    assert _states(world) == {"inv_48213": "Cancelled"}


async def test_the_application_takes_up_what_was_left(world: World) -> None:
    await _connected(world)
    _fail(world, an_invoice())
    with world.database.transaction() as session:
        assert waits.release(session, "acme", ["terms/Net 30"], NOW) == 1
    await asyncio.to_thread(_save_quietly, world)
    async with world.app.router.lifespan_context(world.app):
        await world.app.state.auto_retry.idle()
    assert _started(world) == ["inv_48213"]


def _save_quietly(world: World) -> None:
    with world.database.transaction() as session:
        row = session.get(Company, "acme")
        assert row is not None
        row.mapping = {**row.mapping, "terms": {"Net 30": TERMS}}


@pytest.mark.long
async def test_a_thousand_waiting_exports_do_not_hold_the_answer(world: World, retry: AutoRetry) -> None:
    """The answer comes before they are started, with their number; in the end all are."""
    await _connected(world)
    _fail(world, an_invoice())
    with world.database.transaction() as session:
        first = session.scalars(select(Export)).one()
        shared = {
            name: getattr(first, name) for name in ("company_id", "kind", "number", "content_hash", "state", "error")
        }
        for n in range(999):
            document = an_invoice(id=f"inv_{n}", number=f"N{n}")
            row = Export(
                **shared, document_id=document["id"], document=document, changes=[], created_at=NOW, updated_at=NOW
            )
            session.add(row)
            session.flush()
            waits.set_waits(session, row, ["terms/Net 30"])
    before = time.perf_counter()
    saved = await world.http.put(f"{BASE}/terms/Net%2030", json=TERMS)
    answered = time.perf_counter() - before
    assert saved.json()["retrying"] == 1000
    started_by_then = len(world.exporter.starts)
    await retry.idle()
    took = time.perf_counter() - before
    assert len(set(_started(world))) == 1000
    assert started_by_then < 1000
    assert answered < took / 3, (answered, took)
    with world.database.transaction() as session:
        assert session.scalar(select(func.count()).select_from(ExportWait)) == 0
