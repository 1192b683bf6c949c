"""What must hold: at any time, and at the end."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from sqlalchemy import select

from simulator.records import Posted
from store import states
from store.tables import Incident, MessageSet, OutboxSignal, Request
from tests.scenario.world import Desk, World, outcome_of
from workflows import contracts

ALARMS = {
    "company_file": None,
    "wrong_company_file": None,
    "second_web_connector": "second_",
    "file_restored": "restore_",
}
"""What an operator may be told in these runs, and with which fault; any other incident is a false alarm."""


def check(world: World) -> None:
    """What holds at any time."""
    with world.read() as session:
        ours = world.company_ids
        requests = list(session.scalars(select(Request).where(Request.company_id.in_(ours)).order_by(Request.seq)))
        sets = list(session.scalars(select(MessageSet).where(MessageSet.company_id.in_(ours))))
        incidents = list(session.scalars(select(Incident).where(Incident.company_id.in_(ours))))
        workflows = {request.workflow_id for request in requests}
        signals = list(session.scalars(select(OutboxSignal).where(OutboxSignal.workflow_id.in_(workflows))))
    for desk in world.desks:
        _check_ledger(world, desk, [request for request in requests if request.company_id == desk.id])
        unresolved = [s.id for s in sets if (s.company_id, s.kind, s.state) == (desk.id, "write", states.SENT)]
        assert len(unresolved) <= 1, f"two sets of {desk.id} are unresolved: {unresolved}"
    state_of = {message_set.id: message_set.state for message_set in sets}
    for request in requests:
        if request.state == states.IN_FLIGHT:
            assert state_of[request.message_set_id or ""] == states.SENT, f"{request.id} waits for an answered set"
        if request.state == states.WAITING:
            assert request.message_set_id is None, f"{request.id} waits and is in a set"
    ends = Counter(s.payload["request_id"] for s in signals if s.payload.get("key") == "end")
    assert ends == Counter(r.id for r in requests if r.state == states.DONE), f"outcomes were told as {ends}"
    removed = {guid for desk in world.desks for guid in desk.gone}
    gone = [r.facts["ref_number"] for r in requests if r.facts["external_guid"] in removed]
    faults = {fault.name for update in world.plan.updates for fault in update.faults}
    expected = {code for code, cause in ALARMS.items() if cause is None or any(f.startswith(cause) for f in faults)}
    strange = {
        f"{incident.code}: {incident.text}"
        for incident in incidents
        # What was removed from the books and sent again looks like two to a late answer: rightly a warning.
        if incident.code not in expected
        and not (incident.code == "possible_duplicate" and any(number in incident.text for number in gone))
    }
    assert not strange, f"false alarms: {strange}"


def check_the_end(world: World) -> None:
    for request in world.requests():
        assert request.state == states.DONE, f"{request.id} is still {request.state} after calm sessions"


def _check_ledger(world: World, desk: Desk, requests: list[Request]) -> None:
    typed = {txn.txn_id for txn in desk.typed}
    ledger = [txn for txn in desk.quickbooks.ledger if txn.txn_id not in typed]
    wanted = {request.facts["external_guid"]: request for request in requests}
    posted = Counter(txn.external_guid for txn in ledger)
    assert set(posted) <= set(wanted), f"{desk.id} holds transactions without an export"
    doubled = [wanted[guid or ""].id for guid, count in posted.items() if count > 1]
    assert not doubled, f"{desk.id} holds twice: {doubled}"
    documents = Counter(wanted[guid or ""].export_id for guid in posted)
    assert all(count == 1 for count in documents.values()), f"a document of {desk.id} was exported twice"
    for other in desk.foreign[:2]:
        assert not other.ledger, f"business data of {desk.id} went into {other.path}"
    by_guid = {txn.external_guid: txn for txn in ledger}
    for guid, request in wanted.items():
        _check_request(world, desk, request, by_guid.get(guid))


def _check_request(world: World, desk: Desk, request: Request, posted: Posted | None) -> None:
    guid, facts = request.facts["external_guid"], request.facts
    if posted is not None:
        assert posted.total == Decimal(facts["total"]), f"{request.id} has the total {posted.total}"
        if guid not in desk.edited:
            assert posted.ref_number == facts["ref_number"], f"{request.id} has the number {posted.ref_number}"
    if request.state != states.DONE:
        return
    outcome = outcome_of(request)
    if outcome.transaction is not None:
        if posted is None:
            assert guid in desk.taken_away, f"{request.id} is Successful but absent"
        else:
            assert posted.txn_id == outcome.transaction.txn_id, f"{request.id} names another transaction"
        return
    assert outcome.failure is not None
    code = outcome.failure.code
    if code != contracts.OUTCOME_UNKNOWN:
        assert posted is None, f"{request.id} is Failed with {code} but in QuickBooks"
    assert code in _true_reasons(world, desk, request), f"{request.id} is Failed with {code}, which is not true"


def _true_reasons(world: World, desk: Desk, request: Request) -> set[str]:
    reasons: set[str] = set()
    if request.id in world.poisoned:
        reasons.add("0x80040400")
    for document in world.plan.documents:
        if document.fate == "refused" and world.names(request, document):
            reasons.add("3140")
    if any(str(txn.total) == request.facts["total"] for txn in desk.typed):
        reasons.add(contracts.OUTCOME_UNKNOWN)
    if desk.has_changed_lists:
        # A customer that is gone or has another name: refused, or not to be looked up by that name.
        reasons |= {"3140", contracts.OUTCOME_UNKNOWN}
    if request.attempt >= world.limits.losses_max:
        reasons.add("lost_too_often")
    return reasons
