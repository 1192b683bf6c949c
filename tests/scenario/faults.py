"""What goes wrong: each `fault_` function prepares one fault for the session that comes next."""

from __future__ import annotations

import contextlib
import functools
import re

from qbxml.envelope import build_message_set
from simulator import soap
from simulator.errors import QuickBooksError
from simulator.records import CompanyState, Posted
from store import states
from store.tables import Request
from tests.scenario.wiring import Action, Place, headers_of
from tests.scenario.world import Desk, Late, World, outcome_of
from tests.support import stores


def expect_late(world: World, desk: Desk) -> None:
    """Answers held back in earlier sessions arrive in this one."""
    for late in [late for late in world.lates if late.company == desk.index]:
        if late.place in ("authenticate", "sendRequestXML"):
            deliver = functools.partial(world.deliver, lambda other, late=late: other is late)
            desk.line.after.setdefault((late.place, 1), []).append(deliver)


def restore(world: World, desk: Desk) -> None:
    """The user puts back the backup taken before the session."""
    for backup, only_when_unreported in desk.backups:
        kept = {txn.external_guid for txn in _read_ledger(backup)}
        lost = {txn.external_guid for txn in desk.quickbooks.ledger} - kept
        reported = {
            request.facts["external_guid"]
            for request in world.requests()
            if _is_successful(request)
            or any(f"{request.id}.{request.attempt}".encode() in late.content for late in world.lates)
        }
        if lost & reported and only_when_unreported:
            continue
        desk.gone |= {guid for guid in lost if guid is not None}
        desk.undone |= {guid for guid in lost if guid is not None}
        desk.taken_away |= {guid for guid in lost & reported if guid is not None}
        desk.quickbooks.restore(backup)
        held = {txn.txn_id for txn in desk.quickbooks.ledger}
        desk.typed = [txn for txn in desk.typed if txn.txn_id in held]
        world.events.append(f"    a backup of {desk.id} was put back; {len(lost)} transactions are gone")
    desk.backups.clear()


def fault_cut(world: World, desk: Desk, when: str, method: str, nth: int) -> None:
    getattr(desk.connector.cuts, when)(method, nth)


def fault_crash_before_commit(world: World, desk: Desk, hresult: str | None) -> None:
    desk.quickbooks.faults.crash_before_commit(hresult)


def fault_crash_after_commits(world: World, desk: Desk, commits: int, hresult: str | None) -> None:
    desk.quickbooks.faults.crash_after(commits, hresult)


def fault_crash_before_record(world: World, desk: Desk, hresult: str | None) -> None:
    desk.quickbooks.faults.crash_after_commit_before_record(hresult)


def fault_crash_after_record(world: World, desk: Desk, hresult: str | None) -> None:
    desk.quickbooks.faults.crash_after_record(hresult)


def fault_lose_record(world: World, desk: Desk) -> None:
    desk.quickbooks.faults.lose_record()


def fault_lose_all_records(world: World, desk: Desk) -> None:
    desk.quickbooks.state.message_sets.clear()


def fault_restore_backup(world: World, desk: Desk, only_when_unreported: bool) -> None:
    desk.backups.append((desk.quickbooks.snapshot(), only_when_unreported))


def fault_foreign_file(world: World, desk: Desk, which: int) -> None:
    desk.connector.company = desk.foreign[which % len(desk.foreign)]


def fault_modal_dialog(world: World, desk: Desk) -> None:
    desk.quickbooks.faults.modal_dialog()


def fault_wrong_file_open(world: World, desk: Desk) -> None:
    desk.quickbooks.faults.wrong_file_open()


def fault_single_user_conflict(world: World, desk: Desk) -> None:
    desk.quickbooks.faults.single_user_conflict()


def fault_lock(world: World, desk: Desk, document: int, times: int) -> None:
    number = world.ref_number(world.plan.documents[document - 1])
    if number is not None:
        desk.quickbooks.faults.lock(number, times)


def fault_user_edits(world: World, desk: Desk, what: str) -> None:
    if desk.quickbooks.ledger:
        posted = world.draw.choice(desk.quickbooks.ledger)
        desk.quickbooks.edit_transaction(posted.txn_id, **{what: f"U-{world.draw.randrange(1000)}"})
        desk.edited.add(posted.external_guid or "")


def fault_user_deletes(world: World, desk: Desk) -> None:
    ours = [txn for txn in desk.quickbooks.ledger if txn.external_guid is not None]
    if ours:
        posted = world.draw.choice(ours)
        desk.quickbooks.delete_transaction(posted.txn_id)
        desk.taken_away.add(posted.external_guid or "")
        desk.gone.add(posted.external_guid or "")
        world.events.append(f"a user deleted {posted.ref_number} of {desk.id}")


def fault_list_change(world: World, desk: Desk, what: str, which: int) -> None:
    """A bookkeeper renames, hides or removes what documents refer to, and puts it right after the session."""
    state = desk.quickbooks.state
    customers = [c for c in state.customers if c.full_name == "Cafe Rio Foods"]
    vendors = [v for v in state.vendors if v.full_name == "Acme Carrier LLC"]
    items = [i for i in state.items if i.full_name in ("Linehaul", "Fuel Surcharge")]
    entries = [*customers, *vendors, *items]
    if not entries:
        return
    entry, kept = entries[which % len(entries)], desk.quickbooks.snapshot()
    desk.has_changed_lists = True
    world.events.append(f"a user of {desk.id}: {what} {entry.full_name}")
    name = entry.name
    match what:
        case "rename":
            desk.quickbooks.rename(entry.list_id, f"{name} 2")
            desk.undo.append(lambda: desk.quickbooks.rename(entry.list_id, name))
        case "inactivate":
            desk.quickbooks.set_active(entry.list_id, False)
            desk.undo.append(lambda: desk.quickbooks.set_active(entry.list_id, True))
        case _:
            desk.quickbooks.remove_entry(entry.list_id)
            desk.undo.append(lambda: _put_back(desk, CompanyState.model_validate_json(kept)))


def _put_back(desk: Desk, before: CompanyState) -> None:
    """The entry is added again; here with its old id, which no user could do: the same documents go on."""
    for name in ("customers", "vendors", "items"):
        held = {entry.list_id for entry in getattr(desk.quickbooks.state, name)}
        missing = [entry for entry in getattr(before, name) if entry.list_id not in held]
        getattr(desk.quickbooks.state, name).extend(missing)


def put_right(desk: Desk) -> None:
    """The bookkeeper undoes what was changed in the lists."""
    while desk.undo:
        desk.undo.pop()()


def fault_user_types(world: World, desk: Desk, document: int) -> None:
    """A bookkeeper enters a document that is also exported: nobody can tell later which of both is there."""
    wanted = world.plan.documents[document - 1]
    request = next((r for r in world.requests() if world.names(r, wanted)), None)
    if request is None or world.desks[wanted.company] is not desk or request.id in world.poisoned:
        return
    if wanted.fate == "refused" or desk.quickbooks.faults._crashes:
        return
    before = len(desk.quickbooks.ledger)
    body = re.sub("<ExternalGUID>.*?</ExternalGUID>", "", request.body)
    # A dialog that is up, or a file in the other mode, keeps this person out as well.
    with contextlib.suppress(QuickBooksError):
        desk.quickbooks.open_session("by hand").process_request(build_message_set((body,), version="13.0"))
    desk.typed += desk.quickbooks.ledger[before:]


def fault_repeat(world: World, desk: Desk, method: str, nth: int, is_seen: bool) -> None:
    desk.line.repeats[(method, nth)] = is_seen


def fault_reorder(world: World, desk: Desk, nth: int) -> None:
    desk.line.reorders.add(nth)


def fault_late(world: World, desk: Desk, nth: int, place: str) -> None:
    desk.line.holds[nth] = lambda content: world.lates.append(Late(company=desk.index, content=content, place=place))


def fault_second_connector(world: World, desk: Desk, nth: int, is_locked_out: bool, minutes: int) -> None:
    """A clone runs a whole session when QuickBooks is done with a document of the first and nobody knows yet."""
    _interrupt(world, desk.line.before, ("receiveResponseXML", nth), desk, is_locked_out, minutes)


def fault_second_while_writing(world: World, desk: Desk, nth: int, is_locked_out: bool) -> None:
    """A clone comes when the first has fetched a document and QuickBooks has not begun with it."""
    _interrupt(world, desk.line.after, ("sendRequestXML", nth), desk, is_locked_out, 0)


def _interrupt(
    world: World, where: dict[Place, list[Action]], place: Place, desk: Desk, is_locked_out: bool, minutes: int
) -> None:
    desk.second.host_name = "QB-DESK-2" if is_locked_out else desk.connector.host_name

    def interrupt() -> None:
        world.clock.forward(minutes=minutes)
        if desk.connector.company is desk.quickbooks:
            world.update("the second Web Connector", desk, desk.second)

    where.setdefault(place, []).append(interrupt)


def fault_second_sign_in(world: World, desk: Desk, method: str, nth: int) -> None:
    """A clone signs in and finds the company file locked by the first computer."""

    def interrupt() -> None:
        user = (("strUserName", f"qbwc-{desk.id}"), ("strPassword", stores.PASSWORD))
        desk.line.send(soap.envelope("authenticate", user), headers_of("authenticate"))
        world.events.append("    a second computer signed in")

    desk.line.before.setdefault((method, nth), []).append(interrupt)


def fault_killed(world: World, desk: Desk, point: str, nth: int) -> None:
    world.at_start.append(lambda: world.fuse.arm(point, nth))  # this test's own reading must not pass it


def _is_successful(request: Request) -> bool:
    return request.state == states.DONE and outcome_of(request).transaction is not None


def _read_ledger(backup: str) -> list[Posted]:
    return CompanyState.model_validate_json(backup).ledger
