"""What can be in the way of connecting, brought about with the simulated Web Connector and QuickBooks, and mended.

Each trouble is what a bookkeeper lives through: the real bridge meets it and says what the pages then show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qbwc_bridge import meeting, wrong_passwords
from qbwc_bridge.answers import LOWER_VERSIONS, UNKNOWN_VERSION
from qbwc_bridge.guard import Code
from qbxml.hresults import HRESULTS
from simulator.company import CompanyFile
from simulator.sample_company import freight_company
from simulator.web_connector import WebConnector
from store import companies, sign_ins
from tests.support import stores

from .conftest import World, bearer

YOU, IT = "you, the bookkeeper", "your IT"
GUESSES = sign_ins.BOTH_MAX


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A trouble: how it comes about and ends, and what a page must say of it."""

    make: Callable[[World, WebConnector], Any]
    mend: Callable[[World, WebConnector], WebConnector]
    says: str
    """A part of its sentence."""
    next_step: str
    owner: str
    is_refusal: bool = True
    """False: nothing was refused, nobody called."""


def problem_of(world: World, company_id: str = "acme") -> dict[str, Any] | None:
    """The problem that the bridge left at a company."""
    with world.database.transaction() as session:
        found = companies.company(session, company_id)
        assert found is not None
        return found.problem


def to_file(quickbooks: CompanyFile, connector: WebConnector) -> WebConnector:
    """Add the .qwc file of a Web Connector while another company file is open."""
    return WebConnector(connector.qwc, connector.password, quickbooks, http=connector.http, sleep=connector.sleep)


def _nothing(_world: World, connector: WebConnector) -> WebConnector:
    return connector


def _refusal(hresult: str) -> Trouble:
    entry = HRESULTS[hresult].entry

    def make(_world: World, connector: WebConnector) -> None:
        connector.company.faults.refuse_opening(hresult, "QuickBooks' own words.")
        assert connector.run_once().outcome == "stopped"

    return Trouble(
        make=make,
        mend=_nothing,
        says=entry.explanation,
        next_step=entry.next_step,
        owner={"bookkeeper": YOU, "it": IT}[entry.owner],
    )


def _unknown_version(_world: World, connector: WebConnector) -> None:
    # Our own first question, in each version that we write; what the Web Connector itself asks is understood.
    times = 1 + len(LOWER_VERSIONS)
    connector.company.faults.fail_queries("CompanyActivityQueryRq", UNKNOWN_VERSION, "QuickBooks' own words.", times)
    report = connector.run_once()
    assert (report.outcome, len(report.exchanges)) == ("error", times)


def _wrong_password(_world: World, connector: WebConnector) -> None:
    connector.password = "not the password"
    assert connector.run_once().outcome == "nvu"


def _too_many(world: World, connector: WebConnector) -> None:
    connector.password = "an old password"
    for _ in range(GUESSES):
        assert connector.run_once().outcome == "nvu"
    connector.password = stores.PASSWORD
    world.clock.forward(minutes=14)
    assert connector.run_once().outcome == "busy", "the right one has to wait, too"


def _right_password(_world: World, connector: WebConnector) -> WebConnector:
    connector.password = stores.PASSWORD
    return connector


def _after_the_wait(world: World, connector: WebConnector) -> WebConnector:
    world.clock.forward(minutes=1, seconds=1)
    return connector


def _wrong_file(world: World, connector: WebConnector) -> None:
    connector.company = freight_company("Another Freight LLC", clock=world.clock)
    assert connector.run_once().outcome == "error"


def _right_file(world: World, connector: WebConnector) -> WebConnector:
    return to_file(freight_company(clock=world.clock), connector)


def _taken(world: World, connector: WebConnector) -> None:
    # Its own ids, as every company has them: only then both .qwc files stamp the one file.
    assert world.client(headers=bearer()).post("/v1/companies/rival/rotate-ids").is_success
    owner = world.web_connector(connector.company, company_id="rival")
    assert owner.run_once().outcome == "ok"
    assert connector.run_once().outcome == "error"


def _own_file(world: World, connector: WebConnector) -> WebConnector:
    return to_file(freight_company("Acme Brokerage Books", clock=world.clock), connector)


def _silence(world: World, connector: WebConnector) -> None:
    cut_short(connector)
    world.clock.forward(minutes=46)


def cut_short(connector: WebConnector) -> None:
    """One session whose first list never arrives: the Web Connector was seen, and the lists are not here."""
    connector.cuts.before("receiveResponseXML")
    assert connector.run_once().outcome == "failed"


TROUBLES = {
    "wrong password": Trouble(
        make=_wrong_password,
        mend=_right_password,
        says=wrong_passwords.REFUSED_TEXT,
        next_step="Enter the password in the Web Connector's list again; if it is lost, make a new one.",
        owner=YOU,
    ),
    "too many wrong passwords": Trouble(
        make=_too_many,
        mend=_after_the_wait,
        says=wrong_passwords.TOO_MANY_TEXT,
        next_step="Then wait 15 minutes before the next update.",
        owner=YOU,
    ),
    "wrong company file": Trouble(
        make=_wrong_file,
        mend=_right_file,
        says="now Another Freight LLC",
        next_step=meeting.NEXT_STEPS[Code.WRONG],
        owner=YOU,
    ),
    "company file of another connection": Trouble(
        make=_taken,
        mend=_own_file,
        says="already belongs to another connection",
        next_step=meeting.NEXT_STEPS[Code.TAKEN],
        owner=YOU,
    ),
    "other file asked for": _refusal("0x8004040A"),
    "not running": _refusal("0x80040416"),
    "cannot start": _refusal("0x80040408"),
    "dialog open": _refusal("0x80040414"),
    "other mode": _refusal("0x80040410"),
    "access not allowed": _refusal("0x8004041A"),
    "release too old for the file": _refusal("0x80040409"),
    "edition not supported": _refusal("0x8004041F"),
    "no version understood": Trouble(
        make=_unknown_version,
        mend=_nothing,
        says=HRESULTS[UNKNOWN_VERSION].entry.explanation,
        next_step=HRESULTS[UNKNOWN_VERSION].entry.next_step,
        owner=IT,
    ),
    "stopped calling": Trouble(
        make=_silence,
        mend=_nothing,
        says="though it is set to call every 15 minutes",
        next_step="Check that the QuickBooks PC is on and somebody is signed in",
        owner="",
        is_refusal=False,
    ),
}
