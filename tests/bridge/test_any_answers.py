"""Whatever QuickBooks and the network answer: no session outlasts its budget, and every request comes to an end.

Hypothesis draws a few moves, and they come again and again: each says how the next document is answered, and how long
that takes. What is answered may be odd, empty, broken, repeated or missing, but it is no lie about what was written.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qbwc_bridge.session import Limits
from simulator.session import Session
from store import states
from tests.support import stores
from tests.support.world import World

LIMITS = Limits(losses_max=3, lookups_max=3, postpone_max=2, attempts_max=9)
BUDGET = timedelta(seconds=LIMITS.session_budget_s)
DOCUMENTS_MAX = 60
"""More than a session needs to find one culprit among three documents, a few times over."""
SESSIONS_MAX = 150
"""Each loss may take some sessions to be found out, and some documents are lost some times."""
AMBIGUOUS = ("0", "510", "1000")
EMPTY = '<?xml version="1.0" ?><QBXML><QBXMLMsgsRs/></QBXML>'
NOT_RUN = ("0x80040400", "0x80040423")
UNKNOWN = ("0x80010108", "0x80040402", "0x80040414")


@dataclass(frozen=True)
class Move:
    """How one document is answered."""

    how: str
    seconds: int
    detail: int = 0


moves = st.builds(
    Move,
    how=st.sampled_from(
        (
            "truth", "truth", "odd", "some_missing", "empty", "empty_with_id", "broken", "foreign", "repeated_before",
            "not_run", "died_before", "died_after", "no_answer", "never_arrived",
        )
    ),
    seconds=st.sampled_from((0, 0, 0, 20, 100, 400)),
    detail=st.integers(0, 3),
)  # fmt: skip


@dataclass
class Desk:
    """A Web Connector that calls the bridge by its methods, and answers by a script."""

    world: World
    script: list[Move]
    turn: int = 0
    last_answer: str = ""
    longest: int = 0
    """Documents of the longest session."""

    def update(self) -> None:
        """One session, to its end."""
        world, bridge = self.world, self.world.dispatcher
        world.clock.forward(hours=6)
        found = bridge.authenticate("qbwc-acme", stores.PASSWORD)
        if found[1] in ("none", "busy"):
            return
        ticket, _ = found
        began, documents, overdue = world.clock(), 0, 0
        quickbooks, hcp = world.quickbooks.open_session("TMS export"), world.hcp()
        while True:
            overdue += world.clock() - began > BUDGET
            assert overdue <= 1, "a document left although one had left after the end of the budget"
            text = bridge.send_request_xml(ticket, hcp, world.quickbooks.path, "US", "13", "0")
            hcp = ""
            if not text:
                assert bridge.get_last_error(ticket)
                break
            documents += 1
            self.longest = max(self.longest, documents)
            assert documents <= DOCUMENTS_MAX, "a session without an end"
            progress = self._answer(ticket, quickbooks, text)
            if progress is None:
                return  # the Web Connector died, too: it never says goodbye
            if progress < 0 or progress >= 100:
                break
        bridge.close_connection(ticket)

    def _answer(self, ticket: str, quickbooks: Session, text: str) -> int | None:
        move = self.script[self.turn % len(self.script)]
        self.turn += 1
        self.world.clock.forward(seconds=move.seconds)
        receive = self.world.dispatcher.receive_response_xml
        if move.how == "not_run":
            return receive(ticket, "", NOT_RUN[move.detail % 2], f"words {move.detail // 2}")
        if move.how == "died_before":
            return receive(ticket, "", UNKNOWN[move.detail % 3], "")
        if move.how == "never_arrived":
            return None
        answer = self._truth(quickbooks, text, move)
        if move.how == "died_after":
            return receive(ticket, "", UNKNOWN[move.detail % 3], "")
        if move.how == "no_answer":
            return None
        if move.how == "repeated_before" and self.last_answer:
            receive(ticket, self.last_answer, "", "")
        told = _told(answer, move)
        self.last_answer = told
        return receive(ticket, told, "", "")

    def _truth(self, quickbooks: Session, text: str, move: Move) -> str:
        faults = self.world.quickbooks.faults
        if move.how == "odd" and "AddRq" in text:
            faults.odd_answer("left_out" if move.detail == 3 else AMBIGUOUS[move.detail], is_written=move.seconds == 0)  # type: ignore[arg-type]
        answer = quickbooks.process_request(text)
        faults._odd.clear()
        return answer


def _told(answer: str, move: Move) -> str:
    match move.how:
        case "odd" if "QueryRs" in answer:
            code = (3120, 1000, 500, 3250)[move.detail]
            severity = "Warn" if code == 500 else "Error"
            return re.sub(r"(<\w+QueryRs [^>]*)statusCode=\"\d+\" statusSeverity=\"\w+\"([^>]*)>.*?</(\w+QueryRs)>",
                          rf'\1statusCode="{code}" statusSeverity="{severity}"\2></\3>', answer)  # fmt: skip
        case "some_missing":
            return re.sub(r"<(\w+Rs) [^>]*?(/>|>.*?</\1>)", "", answer, count=1 + move.detail)
        case "empty":
            return EMPTY
        case "empty_with_id":
            named = re.search(r'newMessageSetID="(\w+)"', answer)
            status = ("0", "9001", "9002", "9005")[move.detail]
            given = f' newMessageSetID="{named[1]}" messageSetStatusCode="{status}"' if named else ""
            return EMPTY.replace("<QBXMLMsgsRs/>", f"<QBXMLMsgsRs{given}/>")
        case "broken":
            return answer[: -10 * (1 + move.detail)]
        case "foreign":
            return re.sub(r'requestID="[^"]*"', f'requestID="FOREIGN.{move.detail}"', answer)
    return answer


@contextmanager
def a_world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="qbd-answers-") as folder:
        for database in stores.sqlite(Path(folder)):
            world = World(database, stores.Clock(), limits=LIMITS)
            yield world
            world.close()


def play(script: list[Move]) -> Desk:
    """Play until nothing is open any more; fails when it takes too long or doubles anything."""
    with a_world() as world:
        ids = [world.queue(stores.an_invoice(f"inv_{number}")) for number in range(3)]
        desk = Desk(world, script)
        for _ in range(SESSIONS_MAX):
            desk.update()
            if all(world.request(request_id).state == states.DONE for request_id in ids):
                break
        assert [world.request(request_id).state for request_id in ids] == [states.DONE] * 3, "no end"
        posted = [txn.external_guid for txn in world.quickbooks.ledger]
        assert len(posted) == len(set(posted)), "a transaction was doubled"
        world.must_hold()
        return desk


@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.lists(moves, min_size=1, max_size=6))
def test_no_answers_make_a_session_endless_or_a_request_wait_for_ever(script: list[Move]) -> None:
    """The moves are played in a circle."""
    play(script)


@pytest.mark.long
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(moves, min_size=1, max_size=9))
def test_no_answers_make_a_session_endless_or_a_request_wait_for_ever_at_length(script: list[Move]) -> None:
    """The same with many more scripts."""
    play(script)


HOWS = ("truth", "odd", "some_missing", "empty", "empty_with_id", "broken", "foreign", "not_run", "died_before",
        "died_after", "no_answer", "never_arrived")  # fmt: skip


def test_a_version_that_is_unknown_in_session_after_session_comes_to_an_end() -> None:
    """Each session begins with the version that the file names, and has time for one document."""
    play([Move(how="not_run", seconds=400, detail=1), Move(how="not_run", seconds=400, detail=3)])


@pytest.mark.parametrize("how", HOWS)
def test_one_answer_for_ever_comes_to_an_end(how: str) -> None:
    """The simplest scripts: everything is answered the same way."""
    play([Move(how=how, seconds=1)])
