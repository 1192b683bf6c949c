"""A silence is told once and its end once, by whoever looks; a look costs what is due."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, update

from mapping.issues import Owner
from store import connection_watch, webhooks
from store.connection_watch import GAP, OWNER, Look
from store.engine import Database
from store.tables import Company
from store.webhook_tables import Webhook, WebhookDelivery
from tests.support import stores

pytestmark = pytest.mark.both_databases

MINUTE = timedelta(minutes=1)
NIGHT = {"from": "18:00", "until": "20:00", "time_zone": "UTC"}


def add(database: Database, clock: stores.Clock, company_id: str = "acme", **fields: Any) -> None:
    stores.add_company(database, company_id, **fields)
    hook = {"url": "https://tms.example.com/", "secret": "whsec_eA==", "disabled_reason": "", "created_at": clock()}
    with database.transaction() as session:
        session.add(
            Webhook(
                id=f"wh_{company_id}", company_id=company_id, events=list(webhooks.EVENTS), updated_at=clock(), **hook
            )
        )


def change(database: Database, company_id: str = "acme", **fields: Any) -> None:
    with database.transaction() as session:
        session.execute(update(Company).where(Company.id == company_id).values(**fields))


def calls(database: Database, clock: stores.Clock, company_id: str = "acme") -> None:
    change(database, company_id, last_seen_at=clock())


def look(database: Database, clock: stores.Clock, **options: Any) -> Look:
    with database.transaction() as session:
        return connection_watch.look(session, now=clock(), **options)


def passes(database: Database, clock: stores.Clock, minutes: int) -> list[tuple[str, str]]:
    """Let time pass under the watch; gives what was told with the minutes after which it was, 4 at a time."""
    began = clock()
    told = []
    while clock() - began < minutes * MINUTE:
        clock.forward(minutes=min(4, minutes - (clock() - began) // MINUTE))
        seen = look(database, clock)
        after = f"{(clock() - began) // MINUTE}"
        told += [("stale", after) for _ in seen.stale] + [("recovered", after) for _ in seen.recovered]
    return told


def messages(database: Database) -> Sequence[WebhookDelivery]:
    with database.transaction() as session:
        return session.scalars(select(WebhookDelivery).order_by(WebhookDelivery.created_at)).all()


def test_a_silence_and_its_end_are_told_once_each(database: Database, clock: stores.Clock) -> None:
    """After three intervals, not before; the messages hold ids, times and what to do."""
    add(database, clock)
    look(database, clock)
    calls(database, clock)
    seen_at = clock()
    assert passes(database, clock, 45) == []
    assert passes(database, clock, 60) == [("stale", "4")]
    calls(database, clock)
    assert passes(database, clock, 40) == [("recovered", "4")]
    stale, recovered = messages(database)
    assert stale.payload["type"] == "connection.stale"
    assert stale.payload["data"] == {
        "company_id": "acme", "last_seen_at": seen_at.isoformat(), "owner": Owner(OWNER).value,
        "next_step": connection_watch.NEXT_STEP,
    }  # fmt: skip
    assert recovered.payload["type"] == "connection.recovered"
    assert recovered.payload["data"].keys() == {"company_id", "last_seen_at"}
    assert passes(database, clock, 8) == [("stale", "8")]


def test_who_calls_is_never_told(database: Database, clock: stores.Clock) -> None:
    """A call every 15 minutes, and twice a gap of 44, as when a PC sleeps over lunch."""
    add(database, clock)
    look(database, clock)
    for pause in (15, 15, 44, 15, 44, 15):
        calls(database, clock)
        assert passes(database, clock, pause) == []


@pytest.mark.parametrize(
    "fields", [{"last_seen_at": None}, {"paused": True}, {"problem": {"code": "wrong_company_file"}}]
)
def test_pauses_refusals_and_first_contacts_are_no_silence(
    database: Database, clock: stores.Clock, fields: dict[str, Any]
) -> None:
    add(database, clock, **{"last_seen_at": clock(), **fields})
    assert passes(database, clock, 100) == []
    change(database, paused=False, problem=None, look_at=clock())  # as the API does it
    assert passes(database, clock, 1) == ([("stale", "1")] if "last_seen_at" not in fields else [])


def test_quiet_hours_are_no_silence(database: Database, clock: stores.Clock) -> None:
    """The PC is off from 17:50 to after they end: it has its three intervals from then on."""
    clock.forward(hours=7, minutes=50)
    add(database, clock, quiet_hours=NIGHT, last_seen_at=clock())
    assert passes(database, clock, 10 + 2 * 60 + 45) == []
    assert passes(database, clock, 8) == [("stale", "4")]


def test_a_silence_before_the_quiet_hours_is_told(database: Database, clock: stores.Clock) -> None:
    clock.forward(hours=6)
    add(database, clock, quiet_hours=NIGHT, last_seen_at=clock())
    look(database, clock)
    assert passes(database, clock, 60) == [("stale", "48")]


def test_when_nobody_looked_nobody_is_blamed(database: Database, clock: stores.Clock) -> None:
    """All of ours was down for a day: Web Connectors get their three intervals to call again."""
    for name in ("acme", "rival"):
        add(database, clock, name, last_seen_at=clock())
    look(database, clock)
    clock.forward(days=1)
    look(database, clock)
    clock.forward(minutes=1)
    calls(database, clock, "rival")
    assert passes(database, clock, 44) == []
    clock.now += GAP  # a look that comes a little late is no gap
    assert look(database, clock).stale == ["acme", "rival"]


def test_a_shorter_interval_counts_at_once(database: Database, clock: stores.Clock) -> None:
    add(database, clock, run_every_minutes=60, last_seen_at=clock())
    look(database, clock)
    assert passes(database, clock, 40) == []
    change(database, run_every_minutes=5, look_at=clock())  # as the API does it
    assert passes(database, clock, 1) == [("stale", "1")]


def test_two_that_look_at_once_tell_it_once(database: Database, clock: stores.Clock) -> None:
    """The lease keeps one relay away; should two look all the same, each silence is told by one of them."""
    names = [f"c{number:02}" for number in range(30)]
    for name in names:
        add(database, clock, name, last_seen_at=clock())
    look(database, clock, limit=len(names))
    assert passes(database, clock, 45) == []
    clock.forward(minutes=1)
    with ThreadPoolExecutor(4) as pool:
        looks = list(pool.map(lambda _: look(database, clock, limit=7), range(16)))
    told = [name for one in looks for name in one.stale]
    assert sorted(told) == names
    for name in names:
        calls(database, clock, name)
    clock.forward(minutes=1)
    with ThreadPoolExecutor(4) as pool:
        looks = list(pool.map(lambda _: look(database, clock, limit=7), range(16)))
    assert sorted(name for one in looks for name in one.recovered) == names
    assert len(messages(database)) == 2 * len(names)


def test_a_look_costs_what_is_due(database: Database, clock: stores.Clock) -> None:
    """With 300 companies that call, each is written once in three intervals; a look in between writes one row."""
    for number in range(300):
        stores.add_company(database, f"c{number}", lists_are_here=False, last_seen_at=clock())
    assert look(database, clock).is_full
    assert not look(database, clock).is_full
    clock.forward(minutes=1)
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert look(database, clock) == Look(stale=[], recovered=[], is_full=False)
    assert [one.split()[0] for one in statements if "begin" not in one and "watches" not in one] == ["SELECT"] * 2
