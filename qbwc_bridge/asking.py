"""What is known of an unresolved set, and the question that comes next: rows become values for the pure parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from qbwc_bridge import recovery, unresolved
from qbwc_bridge.facts import facts_of
from qbwc_bridge.looking import Look
from qbwc_bridge.lookup_parts import Part, next_part
from qbwc_bridge.meeting import TWIN_WINDOW
from qbwc_bridge.rulings import UNKNOWN_VERSION, SentRequest
from qbwc_bridge.session import Limits, Step
from qbwc_bridge.unresolved import PLANT_ID, TRY_ID, Asked
from qbxml.outcomes import Verdict, normalise_hresult
from store import queue, states
from store.tables import MessageSet, Request, WebConnectorSession

NOT_LOOKED_UP = "QuickBooks did not say whether earlier documents arrived. Restart QuickBooks and run the update again."
NO_LOOK = Look()


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far the questions about an unresolved set are, for the session that is at work."""

    set_id: str
    sent_at: datetime
    sent: Sequence[SentRequest]
    """Those of its requests that are not decided."""
    asked: Sequence[Asked]
    counted: Sequence[Asked]
    """Those of them that could have decided it: none while another computer might finish by itself."""
    fetched_by: str | None
    """The computer that fetched it."""
    is_elsewhere: bool
    """That may be another computer, and it may still be at work on the set."""
    is_waiting: bool
    """It had not long enough to finish what it has begun."""
    part: Part | None
    """What this session looks up next."""

    @property
    def step(self) -> Step:
        """What is asked next."""
        is_left = self.part is not None
        return unresolved.next_question(self.asked, is_elsewhere=self.is_elsewhere, is_left=is_left)

    @property
    def is_held(self) -> bool:
        """Say whether what is absent must not be sent again by this computer."""
        return self.is_elsewhere and not unresolved.is_fenced(self.asked)

    @property
    def is_restored(self) -> bool:
        """Say whether what QuickBooks remembers of the set proves nothing."""
        return any(one.has_doubt for one in self.asked)

    def is_hopeless(self, limits: Limits) -> bool:
        """Say whether a person must look."""
        if self.is_waiting:
            return False
        return unresolved.is_hopeless(self.counted, limits, is_at_end=self.step is Step.REFUSE)

    @property
    def verdict(self) -> Verdict:
        """What a person is told of documents that cannot be decided."""
        return recovery.may_come_from(self._computer) if self.is_held else recovery.MAY_BE_THERE

    @property
    def why_undecided(self) -> str:
        """Say why they cannot be decided."""
        if not self.is_held:
            return "Looking for it in QuickBooks failed again and again"
        return f"It was fetched by {self._computer}, which never said what became of it"

    @property
    def what_helps(self) -> str:
        """Say what a session that ends without a decision should be followed by."""
        if not self.is_held:
            return NOT_LOOKED_UP
        return (
            f"Documents were fetched by {self._computer}, which may still be writing them to QuickBooks. "
            "Run the update there. If QuickBooks hangs there, restart it first."
        )

    @property
    def _computer(self) -> str:
        return f"the computer {self.fetched_by}" if self.fetched_by else "another computer"


def standing(
    session: Session, wc: WebConnectorSession, write_set: MessageSet, *, now: datetime, limits: Limits
) -> Standing:
    """Read what is known of an unresolved set."""
    sent = [sent_request(request) for request in queue.requests_of_set(session, write_set.id)]
    rows = list(queue.recovery_steps(session, write_set.id))
    other = queue.answered_in_session(session, wc.ticket_hash, "activity")
    if other is not None and other not in rows:
        rows.insert(0, other)
    fetched = session.get(WebConnectorSession, write_set.ticket_hash)
    fetched_by = fetched.host if fetched is not None else None
    seen = [host for host, _ in queue.hosts_since(session, wc, now - TWIN_WINDOW)]
    is_elsewhere = write_set.ticket_hash != wc.ticket_hash and unresolved.may_be_elsewhere(
        fetched_by=fetched_by, here=wc.host, seen=seen
    )
    elsewhere = timedelta(seconds=limits.elsewhere_s)
    asked = [_asked(row, wc, about=write_set.id, old_at=now - elsewhere) for row in rows]
    settled_at = write_set.sent_at + (elsewhere if is_elsewhere else timedelta(0))
    return Standing(
        set_id=write_set.id,
        sent_at=write_set.sent_at,
        sent=sent,
        asked=asked,
        counted=[one for one, row in zip(asked, rows, strict=True) if row.sent_at >= settled_at],
        fetched_by=fetched_by,
        is_elsewhere=is_elsewhere,
        is_waiting=is_elsewhere and (now < settled_at or unresolved.is_maturing(asked)),
        part=next_part(sent, asked),
    )


def document(stand: Standing, step: Step, *, version: str, set_id: str, released: str | None) -> Question:
    """Build what is asked at a step; `set_id` is the document's own id, `released` what a write would release."""
    match step:
        case Step.CHECK_FILE:
            return Question(kind="activity", text=recovery.activity_document(version))
        case Step.ASK:
            return Question(kind="ask", text=recovery.ask_document(stand.set_id, version))
        case Step.PLANT_FENCE:
            return Question(kind="fence", text=recovery.fence_document(stand.set_id, version), ids=(PLANT_ID,))
        case Step.TRY_FENCE:
            return Question(kind="fence", text=recovery.trial_document(set_id, released, version), ids=(TRY_ID,))
    if step is not Step.LOOK_UP or stand.part is None:
        raise ValueError(f"{step} asks nothing about a set")
    since = (stand.sent_at - recovery.CLOCKS_MAY_DIFFER).date()
    text = recovery.lookup_document(stand.part, since=since, version=version)
    return Question(kind="lookup", text=text, ids=stand.part.ids)


@dataclass(frozen=True, kw_only=True)
class Question:
    """A document that asks about a set."""

    kind: str
    text: str
    ids: tuple[str, ...] = ()
    """Its requestIDs, where they tell which question it is."""


def sent_request(request: Request) -> SentRequest:
    """Give the pure view of a request."""
    look = look_of(request)
    return SentRequest(
        id=request.id,
        operation=request.operation,
        attempt=request.attempt,
        facts=facts_of(request.facts),
        currency=request.currency,
        earlier_guids=tuple(look.guids),
        ruled_out=tuple(look.ruled_out),
    )


def look_of(request: Request) -> Look:
    """Give what a look for a request must know."""
    return Look.model_validate(request.look) if request.look else NO_LOOK


def _asked(row: MessageSet, wc: WebConnectorSession, *, about: str, old_at: datetime) -> Asked:
    could_not = row.state == states.ABANDONED and row.answered_at is not None
    return Asked(
        kind=row.kind,
        session=row.ticket_hash,
        is_mine=row.ticket_hash == wc.ticket_hash,
        ids=tuple(row.asked or ()),
        is_answered=row.state == states.ANSWERED,
        has_failed=could_not and normalise_hresult(row.hresult or "") != UNKNOWN_VERSION,
        set_status=row.set_status,
        is_old=row.answered_at is not None and row.answered_at <= old_at,
        has_doubt=row.kind == "activity" and row.about_set_id == about and bool(row.message),
    )
