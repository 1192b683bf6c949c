"""What waits goes as the mapping is when it leaves, not as it was when it was queued."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session

from store.changes import write_changes
from store.states import WAITING
from store.tables import Company, Request
from workflows.contracts import Failure

Remap = Callable[[Session, Request], Failure | None]
"""Brings a waiting request to today's mapping, or gives why it cannot be sent; `activities.queued.Remapping` is one.

It is given from outside: this package knows nothing of mapping.
"""


def as_it_was(_session: Session, _request: Request) -> Failure | None:
    """Send what was queued, for programs that only play a bridge."""
    return None


def mapped_today(
    session: Session,
    owner: Company,
    waiting: Sequence[Request],
    *,
    remap: Remap,
    fail: Callable[[Request, Failure], None],
) -> list[Request]:
    """Give what may leave of the head of the queue, each as it is mapped today; what cannot be sent is failed.

    The caller holds the company. What waits was never written: it was never fetched, or it was looked up and is absent.
    """
    # What only looks up a person's word has no body, and is never sent.
    stale = [one for one in waiting if one.body and one.mapping_version != owner.mapping_version]
    if stale:
        write_changes(session)  # the mapping of it reads what this call has changed
    for request in stale:
        failure = remap(session, request)
        request.mapping_version = owner.mapping_version
        if failure is not None:
            fail(request, failure)
    if stale:
        write_changes(session)
    return [request for request in waiting if request.state == WAITING]
