"""The harder world: what goes wrong beside crashes and cuts. Each `fault_` function prepares one for the next session.

A run draws from these by name (`Plan.of(seed, harder=...)`); `harder_draws.py` gives the arguments of each.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from simulator.copies import archive_path, copy_of, spellings
from simulator.errors import RequestProblem
from simulator.faults import HangPoint, OddCode
from store import list_syncs, states
from store.list_tables import ListEntry
from tests.scenario.harder_draws import TYPED
from tests.scenario.world import Almost, Desk, World


def fault_odd_answer(world: World, desk: Desk, code: OddCode, is_written: bool, times: int) -> None:
    """QuickBooks' answer to an Add says nothing of whether it was written."""
    desk.quickbooks.faults.odd_answer(code, is_written=is_written, times=times)


def fault_copy_opened(world: World, desk: Desk, is_older: bool) -> None:
    """Somebody opens a copy of the books that lies elsewhere, and the right file again after the session.

    A copy that holds all of ours cannot be told from books that were moved, so it is always one that lacks some.
    """
    if not any(txn.external_guid for txn in desk.quickbooks.ledger):
        return
    backup = world.draw.choice(desk.kept) if is_older and desk.kept else None
    copy = copy_of(desk.quickbooks, archive_path(desk.quickbooks), backup=backup)
    lacking = [txn for txn in desk.quickbooks.ledger if txn.external_guid][-world.draw.randint(1, 3) :]
    copy.state.ledger = [txn for txn in copy.state.ledger if txn.txn_id not in {gone.txn_id for gone in lacking}]
    world.struck["copy_opened"] += 1
    desk.copies.append((copy, {txn.external_guid for txn in copy.ledger if txn.external_guid}))
    desk.connector.company = copy
    world.events.append(f"a copy of {desk.id} with {len(copy.ledger)} transactions is open")


def fault_other_spelling(world: World, desk: Desk, which: int) -> None:
    """The computer opens the right file by another path to the same place."""
    ways = spellings(desk.quickbooks.path)
    world.struck["other_spelling"] += 1
    desk.connector.opened_as = ways[which % len(ways)]


def fault_shared_file(world: World, desk: Desk, which: int) -> None:
    """The connection was added while another company's file was open, by another path than that company's own."""
    other = next((other for other in world.desks if other is not desk), None)
    if other is None:
        return
    owner_id, file_id = desk.connector.qwc.owner_id, desk.connector.qwc.file_id
    world.struck["shared_file"] += 1
    other.quickbooks.state.data_ext.setdefault(owner_id, {}).setdefault("FileID", file_id)
    ways = spellings(other.quickbooks.path)
    desk.connector.company, desk.connector.opened_as = other.quickbooks, ways[which % len(ways)]


def fault_types_almost(world: World, desk: Desk, document: int, what: str) -> None:
    """A person enters almost the same as a document that waits, or whose outcome is not known yet."""
    wanted = world.plan.documents[document - 1]
    request = next((r for r in reversed(world.requests()) if world.names(r, wanted)), None)
    if request is None or world.desks[wanted.company] is not desk or request.state == states.DONE:
        return
    if request.id in world.poisoned or wanted.fate == "refused" or (request.state, what) == (states.IN_FLIGHT, "same"):
        return
    is_there = any(txn.external_guid == request.facts["external_guid"] for txn in desk.quickbooks.ledger)
    try:
        typed = desk.quickbooks.type_like(request.body, TYPED[what])
    except RequestProblem:
        return  # a customer that somebody renamed or hid cannot be chosen by hand either
    world.struck["types_almost"] += 1
    desk.typed.append(typed)
    desk.almost.append(
        Almost(typed=typed, what=what, request_id=request.id, attempt=request.attempt, is_second=is_there)
    )
    world.events.append(f"a person typed {request.id} into {desk.id}: {what}, {typed.ref_number} {typed.total}")


def fault_tax_on_top(world: World, desk: Desk, percent: int) -> None:
    """Sales tax is turned on, and somebody chose a taxable code as the default for what we send."""
    world.struck["tax_on_top"] += 1
    desk.quickbooks.turn_on_sales_tax("County", str(percent))
    world.choose_tax_code(desk, "Tax")


def fault_list_lies(world: World, desk: Desk, name: str, how: str) -> None:
    """A list is read anew, and QuickBooks answers with an error that calls itself Info, or with a row no schema allows.

    The first time all is well, so that there is something to lose.
    """
    with world.database.transaction() as session:
        is_known = session.scalar(select(ListEntry.list_id).where(ListEntry.company_id == desk.id).limit(1))
        list_syncs.request_sync(session, desk.id, at=world.clock(), full=True)
    if is_known and how == "row":
        desk.quickbooks.faults.spoil_row(name)
    elif is_known:
        desk.quickbooks.faults.refuse_query(name, 3250, "This feature is not enabled.", severity="Info")


def fault_set_back(world: World, desk: Desk, method: str, nth: int) -> None:
    """Our own database becomes what it was at the nth call of a method, as soon as the session is over."""
    desk.line.before.setdefault((method, nth), []).append(world.keep_database)


def fault_slow_pc(world: World, desk: Desk, point: HangPoint, minutes: int, times: int) -> None:
    """QuickBooks stands still in the middle of a set; another computer polls; then the first goes on.

    A run that has begun and goes on later is stopped by nothing: what it then writes a second time must be told. On
    one computer QuickBooks takes one document after the other, so that a new session there means that the run is over.
    """

    def meanwhile() -> None:
        if desk.connector.company is not desk.quickbooks:
            return
        if point != "before_judged":
            desk.begun |= {r.facts["external_guid"] for r in world.requests() if r.state == states.IN_FLIGHT}
        world.struck["slow_pc"] += 1
        desk.hanging += 1
        for _ in range(times):
            world.clock.forward(minutes=minutes)
            desk.second.host_name, desk.second.keeps_off_locked = f"QB-DESK-{desk.hanging + 1}", False
            world.update(f"computer {desk.hanging + 1}", desk, desk.second)
        desk.hanging -= 1

    desk.quickbooks.faults.hang(meanwhile, point, 1 if point == "after_commits" else 0)


def fault_clock_behind(world: World, desk: Desk, days: int) -> None:
    """The clock of the computer is days behind, or ahead."""
    world.struck["clock_behind"] += 1
    desk.connector.clock = lambda: world.clock() - timedelta(days=days)


def fault_wrong_word(world: World, desk: Desk) -> None:
    """A person says of everything that may be in QuickBooks that it is not, without looking."""
    world.say_absent(desk)


def fault_storage_fails(world: World, desk: Desk, nth: int) -> None:
    world.at_start.append(lambda: world.storage.fail(nth))


def fault_storage_full(world: World, desk: Desk) -> None:
    world.at_start.append(world.storage.fill)


def fault_commit_unanswered(world: World, desk: Desk, nth: int, is_done: bool) -> None:
    world.at_start.append(lambda: world.storage.lose_commit(nth, is_done=is_done))
