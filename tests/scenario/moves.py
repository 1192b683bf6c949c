"""What must hold of how exports move: only forward, each step back with its reason, and none stands without a cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import select

from store import states
from store.tables import Company, OutboxSignal, Request
from tests.scenario.world import Known, World

RANK = {states.WAITING: 0, states.IN_FLIGHT: 1, states.DONE: 2, states.CANCELLED: 2}


def check_moves(world: World, requests: Sequence[Request], signals: Sequence[OutboxSignal]) -> None:
    """Mapped, Queued, Sent and an end; Queued again only with a reason that was told, once for each time."""
    reasons = Counter(s.payload["request_id"] for s in signals if s.payload.get("requeued"))
    for request in requests:
        before = world.known.get(request.id)
        if before is not None:
            assert RANK[before.state] < 2 or request.state == before.state, f"{request.id} was {before.state} before"
            assert request.attempt >= before.attempt, f"{request.id} was sent {before.attempt} times before"
            is_back = RANK[request.state] < RANK[before.state]
            assert not is_back or reasons[request.id] == request.attempt, (
                f"{request.id} is Queued again, without a word"
            )
        told, sent = reasons[request.id], request.attempt
        allowed = {states.WAITING: {sent}, states.IN_FLIGHT: {sent - 1}}.get(request.state, {sent, sent - 1})
        assert told in allowed, f"{request.id}, {request.state}, was sent {sent} times and queued again {told} times"
        world.known[request.id] = Known(request.state, request.attempt)


def check_nothing_stands(world: World, company_id: str, outcome: str) -> None:
    """A session that found nothing to do leaves nothing that could have gone, unless people are told what to do."""
    if outcome != "none":
        return
    with world.read() as session:
        query = select(Request).where(
            Request.company_id == company_id, Request.state.in_((states.WAITING, states.IN_FLIGHT))
        )
        ready = [r.id for r in session.scalars(query) if r.state == states.IN_FLIGHT or r.available_at <= world.clock()]
        company = session.get_one(Company, company_id)
        assert not ready or company.problem, f"nothing to do, it was said, while {ready} stand"
