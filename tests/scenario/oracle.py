"""What must hold: at any time, and at the end."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from sqlalchemy import select

from simulator.records import Posted
from store import states
from store.list_tables import ListEntry
from store.tables import Export, Incident, MessageSet, OutboxSignal, Request
from tests.scenario.moves import check_moves
from tests.scenario.world import Almost, Desk, World, outcome_of
from workflows import contracts

ALARMS: dict[str, tuple[str, ...]] = {
    "company_file": ("",),
    "wrong_company_file": ("",),
    "second_web_connector": ("second_", "slow_pc"),
    "file_restored": ("restore_",),
    "exports_missing": ("restore_", "user_deletes"),
    "exports_found": ("restore_",),
    "company_file_moved": ("copy_opened", "other_spelling", "shared_file"),
    "company_file_unconfirmed": ("",),
    "company_file_answered": ("",),
    "company_file_taken": ("shared_file", "foreign_file"),
    "list_rows_unreadable": ("list_lies",),
    "database_stepped_back": ("set_back",),
}
"""What an operator may be told in these runs, and with which faults ("": any); any other incident is a false alarm."""


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
        doubles_told = " ".join(i.text for i in incidents if (i.company_id, i.code) == (desk.id, "possible_duplicate"))
        _check_ledger(world, desk, [r for r in requests if r.company_id == desk.id], doubles_told)
        _check_lists(world, desk)
        unresolved = [s.id for s in sets if (s.company_id, s.kind, s.state) == (desk.id, "write", states.SENT)]
        # After a step back everything that waits stands as sent, to be looked up in as many sets as it takes.
        assert len(unresolved) <= 1 or world.forgotten, f"two sets of {desk.id} are unresolved: {unresolved}"
    state_of = {message_set.id: message_set.state for message_set in sets}
    for request in requests:
        if request.state == states.IN_FLIGHT:
            assert state_of[request.message_set_id or ""] == states.SENT, f"{request.id} waits for an answered set"
        if request.state == states.WAITING:
            assert request.message_set_id is None, f"{request.id} waits and is in a set"
    ends = Counter(s.payload["request_id"] for s in signals if s.payload.get("key") == "end")
    assert ends == Counter(r.id for r in requests if r.state == states.DONE), f"outcomes were told as {ends}"
    check_moves(world, requests, signals)
    removed = {guid for desk in world.desks for guid in desk.gone}
    gone = [r.facts["ref_number"] for r in requests if r.facts["external_guid"] in removed]
    begun = [r.facts["ref_number"] for desk in world.desks for r in requests if r.facts["external_guid"] in desk.begun]
    faults = {fault.name for update in world.plan.updates for fault in update.faults}
    expected = {code for code, causes in ALARMS.items() if not causes[0] or any(f.startswith(causes) for f in faults)}
    strange = {
        f"{incident.code}: {incident.text}"
        for incident in incidents
        # What was removed from the books and sent again looks like two to a late answer: rightly a warning.
        if incident.code not in expected
        and not (incident.code == "possible_duplicate" and any(number in incident.text for number in (*gone, *begun)))
    }
    assert not strange, f"false alarms: {strange}"


def check_the_end(world: World) -> None:
    """Everything has ended, and what a backup took away again is told."""
    with world.read() as session:
        query = select(Export).where(Export.company_id.in_(world.company_ids), Export.missing_since.is_not(None))
        missing = {row.id for row in session.scalars(query)}
    undone = {guid: desk for desk in world.desks for guid in desk.undone}
    newest = {request.export_id: request for request in world.requests()}
    for request in newest.values():
        desk, outcome = undone.get(request.facts["external_guid"]), request.outcome and outcome_of(request)
        if desk is None or not outcome or outcome.transaction is None:
            continue
        is_there = any(txn.txn_id == outcome.transaction.txn_id for txn in desk.quickbooks.ledger)
        assert is_there or request.export_id in missing, f"{request.id} was undone by a backup, and nobody is told"
    for request in world.requests():
        assert request.state == states.DONE, f"{request.id} is still {request.state} after calm sessions"


def _check_lists(world: World, desk: Desk) -> None:
    """What is in the company file is not said to be deleted, whatever a list's answers looked like."""
    held = {entry.list_id for entry in desk.quickbooks.entries()}
    with world.read() as session:
        query = select(ListEntry).where(ListEntry.company_id == desk.id, ListEntry.is_gone)
        lost = [entry.full_name for entry in session.scalars(query) if entry.list_id in held]
    assert not lost or desk.has_changed_lists, f"said to be gone from {desk.id}: {lost}"


def _check_ledger(world: World, desk: Desk, requests: list[Request], doubles_told: str) -> None:
    typed = {txn.txn_id for txn in desk.typed}
    ledger = [txn for txn in desk.quickbooks.ledger if txn.txn_id not in typed]
    wanted = {request.facts["external_guid"]: request for request in requests}
    posted = Counter(txn.external_guid for txn in ledger)
    # A run that QuickBooks had begun with goes on whatever we do; what it doubles must be told.
    told = {g for g in desk.begun & set(wanted) if g in desk.unheard or wanted[g].facts["ref_number"] in doubles_told}
    workflows = world.forgotten | {guid: request.workflow_id for guid, request in wanted.items()}
    assert set(posted) <= set(workflows), f"{desk.id} holds transactions without an export"
    doubled = [workflows[guid or ""] for guid, count in posted.items() if count > 1 and guid not in told]
    assert not doubled, f"{desk.id} holds twice: {doubled}"
    documents = Counter(workflows[guid or ""] for guid in posted)
    assert all(count == 1 for count in documents.values()), f"a document of {desk.id} was exported twice"
    for other in desk.foreign[:2]:
        assert not other.ledger, f"business data of {desk.id} went into {other.path}"
    for copy, held in desk.copies:
        landed = {txn.external_guid for txn in copy.ledger if txn.external_guid} - held
        assert not landed, f"business data of {desk.id} went into a copy of its books: {landed}"
    for almost in desk.almost:
        _check_almost(almost, desk, {request.id: request for request in requests})
    by_guid = {txn.external_guid: txn for txn in reversed(ledger)}
    for guid, request in wanted.items():
        _check_request(world, desk, request, by_guid.get(guid))


def _check_almost(almost: Almost, desk: Desk, requests: dict[str, Request]) -> None:
    """What was sent after a person had typed it is a double that nobody was asked about."""
    request = requests.get(almost.request_id)
    order = [txn.txn_id for txn in desk.quickbooks.ledger]
    if request is None or almost.is_second or almost.typed.txn_id not in order:
        return
    if almost.what == "other number" and almost.attempt == 0:
        return  # nothing is looked for but our number until an answer is lost
    guid = request.facts["external_guid"]
    later = [t for t in desk.quickbooks.ledger[order.index(almost.typed.txn_id) :] if t.external_guid == guid]
    is_sent_later = request.attempt > almost.attempt
    assert not (later and is_sent_later), f"{request.id} was sent although a person had typed it ({almost.what})"


def _check_request(world: World, desk: Desk, request: Request, posted: Posted | None) -> None:
    guid, facts = request.facts["external_guid"], request.facts
    if posted is not None:
        # Sales tax on top is QuickBooks' own; everything else is as it was sent.
        assert posted.subtotal == Decimal(facts["total"]), f"{request.id} has the total {posted.total}"
        if guid not in desk.edited:
            assert posted.ref_number == facts["ref_number"], f"{request.id} has the number {posted.ref_number}"
    if request.state != states.DONE:
        return
    outcome = outcome_of(request)
    if outcome.transaction is not None:
        if posted is None:
            assert guid in desk.taken_away, f"{request.id} is Successful but absent"
        else:
            same = {txn.txn_id for txn in desk.quickbooks.ledger if txn.external_guid == guid}
            assert outcome.transaction.txn_id in same, f"{request.id} names another transaction"
            is_told = any(one.path == "total" for one in outcome.transaction.differences)
            assert is_told == (posted.total != posted.subtotal), f"{request.id} is {posted.total}; told: {is_told}"
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
    numbers = {txn.ref_number for txn in (*desk.typed, *(almost.typed for almost in desk.almost))}
    if request.facts["ref_number"] in numbers:
        reasons |= {contracts.OUTCOME_UNKNOWN, "found_in_quickbooks"}
    if desk.has_changed_lists:
        # A customer that is gone or has another name: refused, or not to be looked up by that name.
        reasons |= {"3140", contracts.OUTCOME_UNKNOWN}
    if request.attempt >= world.limits.losses_max:
        reasons.add("lost_too_often")
    return reasons
