"""QuickBooks hangs on one computer while a second one polls: time is no proof, QuickBooks' record of the set is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta

import pytest

from qbwc_bridge.session import Limits
from simulator.report import UpdateReport
from simulator.web_connector import WebConnector
from store import states
from store.engine import Database
from tests.support import stores
from tests.support.world import World

SETTLED = timedelta(seconds=Limits().elsewhere_s)


class TwoComputers(World):
    """The company file on a server, and two computers that run the same connection."""

    def __init__(self, database: Database, clock: stores.Clock) -> None:
        super().__init__(database, clock)
        self.first = self.connector
        self.second = WebConnector(
            self.first.qwc,
            stores.PASSWORD,
            self.quickbooks,
            http=self.http,
            host_name="OFFICE-2",
            keeps_off_locked=False,
        )

    def update_second(self) -> UpdateReport:
        """One update on the second computer."""
        self.clock.forward(minutes=15)
        return self.second.run_once()


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[TwoComputers]:
    world = TwoComputers(database, clock)
    yield world
    world.close()


def codes(world: World, ids: list[str]) -> list[str]:
    """How each stands: "" for Successful, open, or the failure's code."""
    outcomes = [world.outcome(request_id) for request_id in ids]
    return ["open" if one is None else one.failure.code if one.failure else "" for one in outcomes]


def kinds(world: World) -> list[str]:
    return [message_set.kind for message_set in world.message_sets()]


POSITIONS = list(itertools.product([False, True], repeat=2))


@pytest.mark.parametrize("updates", [1, 4])
@pytest.mark.parametrize(("leaves_record", "keeps_one"), POSITIONS)
def test_a_set_that_runs_after_a_second_computer_looked_for_it_is_not_doubled(
    world: TwoComputers, leaves_record: bool, keeps_one: bool, updates: int
) -> None:
    """Whatever QuickBooks keeps of sets: four updates elsewhere lie between fetching and running."""
    world.quickbooks.switches.empty_ask_leaves_record = leaves_record
    world.quickbooks.switches.keep_only_latest_record = keeps_one
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(2)]
    world.quickbooks.faults.hang(
        lambda: [world.update_second() for _ in range(updates)] and None, point="before_judged"
    )
    world.update()
    for _ in range(3):
        world.update()
    assert codes(world, ids) == ["", ""]
    assert len(world.quickbooks.ledger) == 2
    world.must_hold()


@pytest.mark.parametrize("leaves_record", [False, True])
def test_a_second_computer_sends_again_behind_a_fence(world: TwoComputers, leaves_record: bool) -> None:
    """The first one never comes back: its set is fenced off, seen to be so half an hour later, and sent again."""
    world.quickbooks.switches.empty_ask_leaves_record = leaves_record
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(2)]
    world.quickbooks.faults.crash_before_commit(None)
    world.update()
    world.update_second()
    assert codes(world, ids) == ["open", "open"]
    assert kinds(world)[1:] == ["activity", "ask", "fence", "fence", "ask", "lookup"]
    world.update_second()
    assert codes(world, ids) == ["open", "open"]
    assert kinds(world)[7:] == ["activity", "ask", "lookup"]
    report = world.update_second()
    assert codes(world, ids) == ["", ""]
    assert report.outcome == "ok"
    assert kinds(world)[10:] == ["activity", "ask", "lookup", "write", "write"]
    world.must_hold()


def test_what_another_computer_has_begun_is_waited_for(world: TwoComputers) -> None:
    """No fence stops a run in the middle: what it writes is found, or its late answer comes."""
    ids = [world.queue(stores.an_invoice())]
    said: list[str] = []

    def meanwhile() -> None:
        said.append(world.update_second().status)

    world.quickbooks.faults.hang(meanwhile, point="before_commit")
    world.update()
    assert codes(world, ids) == [""]
    assert "QB-DESK" in said[0]
    assert "may still be writing" in said[0]
    assert len(world.quickbooks.ledger) == 1
    world.must_hold()


@pytest.mark.parametrize("loses", [False, True])
def test_without_a_fence_another_computers_documents_are_a_persons(world: TwoComputers, loses: bool) -> None:
    """QuickBooks keeps one record only, or none: the second computer never sends, and says who may still write."""
    world.quickbooks.switches.keep_only_latest_record = not loses
    ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(2)]
    world.quickbooks.faults.crash_before_commit(None)
    world.update()
    if loses:
        world.quickbooks.faults.lose_record(1000)
    world.clock.forward(seconds=SETTLED.total_seconds())
    for _ in range(Limits().lookups_max + 1):
        world.update_second()
    assert codes(world, ids) == ["outcome_unknown"] * 2
    outcome = world.outcome(ids[0])
    assert outcome is not None
    assert outcome.failure is not None
    assert "the computer QB-DESK may still be writing it" in outcome.failure.explanation
    assert "Restart QuickBooks on the computer QB-DESK" in outcome.failure.next_step
    assert not world.quickbooks.ledger
    assert world.queue(stores.an_invoice("inv_9"))
    world.quickbooks.faults.__init__()  # type: ignore[misc]
    world.update_second()
    assert len(world.quickbooks.ledger) == 1  # what waited behind it goes on


def test_the_first_computers_own_session_proves_that_its_run_is_over(world: TwoComputers) -> None:
    """One computer runs one update at a time: what it fetched and did not write is sent again at once."""
    ids = [world.queue(stores.an_invoice())]
    world.quickbooks.faults.crash_before_commit(None)
    world.update()
    world.update_second()
    world.update()
    assert codes(world, ids) == [""]
    world.must_hold()


def test_the_record_of_a_set_that_was_ruled_absent_is_never_released(world: TwoComputers) -> None:
    """Every later write names another one: the fence stays, and a run that comes days later writes nothing."""
    ids = [world.queue(stores.an_invoice())]
    late: list[str] = []

    def days_later() -> None:
        for number in range(6):
            world.update_second()
            ids.append(world.queue(stores.an_invoice(f"more_{number}")))
        world.clock.forward(days=3)
        late.append("now")

    world.quickbooks.faults.hang(days_later, point="before_judged")
    world.update()
    assert late
    first = world.message_sets()[0]
    assert first.is_fence
    assert not any(f'oldMessageSetID="{first.id}"' in one.text for one in world.message_sets() if one.kind != "ask")
    for _ in range(2):
        world.update()
    assert set(codes(world, ids)) == {""}
    assert len(world.quickbooks.ledger) == len(ids)
    world.must_hold()


def test_a_restored_file_is_fenced_off_although_its_records_prove_nothing(world: TwoComputers) -> None:
    """What QuickBooks remembers is not believed; that it remembers the set is what keeps a late run off."""
    ids = [world.queue(stores.an_invoice())]

    def restored_and_polled() -> None:
        world.quickbooks.restore(world.quickbooks.snapshot())
        for _ in range(4):
            world.update_second()

    world.quickbooks.faults.hang(restored_and_polled, point="before_judged")
    world.update()
    world.update()
    assert codes(world, ids) == [""]
    assert len(world.quickbooks.ledger) == 1
    assert "fence" in kinds(world)
    world.must_hold()


@pytest.mark.parametrize("days", [2, 40])
def test_a_renumbered_invoice_is_found_although_the_clock_of_its_computer_is_behind(
    world: TwoComputers, days: int
) -> None:
    """It changed last, says QuickBooks, long before its set left: the date on it finds it, with our GUID."""
    request_id = world.queue(stores.an_invoice())
    world.first.clock = lambda: world.clock() - timedelta(days=days)
    world.quickbooks.faults.crash_after_commit_before_record(None)
    world.update()
    [posted] = world.quickbooks.ledger
    posted.ref_number = "RENUMBERED"
    world.update()
    assert codes(world, [request_id]) == [""]
    assert world.request(request_id).state == states.DONE
    assert len(world.quickbooks.ledger) == 1
    world.must_hold()
