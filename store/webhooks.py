"""Webhooks and their messages. A message is written in the transaction of the change that it tells of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from store.exports import Moving
from store.tables import Company, Export
from store.webhook_tables import Webhook, WebhookDelivery

PENDING = "pending"
DELIVERED = "delivered"
FAILED = "failed"

EVENT_OF_STATE = {
    "Sent": "export.sent",
    "Successful": "export.successful",
    "Failed": "export.failed",
    "Cancelled": "export.cancelled",
}
EVENT_PROBLEM = "connection.problem"
EVENT_STALE = "connection.stale"
EVENT_RECOVERED = "connection.recovered"
EVENT_MISSING = "exports.missing"
EVENTS = (*EVENT_OF_STATE.values(), EVENT_PROBLEM, EVENT_STALE, EVENT_RECOVERED, EVENT_MISSING)

ERROR_MAX = 500
ID_LENGTH = 32
SEE_API = "Read the reasons through the API."


def secret_place(webhook_id: str) -> str:
    """Name the place that a webhook's secret is encrypted for (secret_box.py)."""
    return f"webhook/{webhook_id}"


def webhook(session: Session, company_id: str, webhook_id: str, *, lock: bool = False) -> Webhook | None:
    """Find a webhook of a company; `lock` keeps others from changing it meanwhile."""
    found = session.get(Webhook, webhook_id, with_for_update=True if lock else None, populate_existing=lock)
    return found if found is not None and found.company_id == company_id else None


def webhooks(session: Session, company_id: str) -> Sequence[Webhook]:
    """List a company's webhooks, oldest first."""
    query = select(Webhook).where(Webhook.company_id == company_id)
    return session.scalars(query.order_by(Webhook.created_at, Webhook.id)).all()


def delivery(session: Session, delivery_id: str, *, lock: bool = False) -> WebhookDelivery | None:
    """Find a message."""
    return session.get(WebhookDelivery, delivery_id, with_for_update=True if lock else None, populate_existing=lock)


def deliveries(
    session: Session, webhook_id: str, *, state: str | None, before: tuple[datetime, str] | None, limit: int
) -> Sequence[WebhookDelivery]:
    """List the messages of a webhook, newest first; `before` is time and id of the last one of the page before."""
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    if state is not None:
        query = query.where(WebhookDelivery.state == state)
    if before is not None:
        at, last_id = before
        same_time = and_(WebhookDelivery.created_at == at, WebhookDelivery.id < last_id)
        query = query.where(WebhookDelivery.created_at <= at, or_(WebhookDelivery.created_at < at, same_time))
    return session.scalars(
        query.order_by(WebhookDelivery.created_at.desc(), WebhookDelivery.id.desc()).limit(limit)
    ).all()


def unstarted(session: Session, *, now: datetime, limit: int) -> Sequence[WebhookDelivery]:
    """Give the oldest messages that no workflow delivers yet; those that another transaction holds are passed over."""
    query = select(WebhookDelivery).where(
        WebhookDelivery.state == PENDING,
        WebhookDelivery.started_at.is_(None),
        WebhookDelivery.available_at <= now,
    )
    oldest = query.order_by(WebhookDelivery.available_at, WebhookDelivery.id).limit(limit)
    return session.scalars(oldest.with_for_update(skip_locked=True)).all()


def mark_started(session: Session, delivery_ids: Sequence[str], *, at: datetime) -> None:
    """Note that Temporal has taken their workflows."""
    for row in session.scalars(select(WebhookDelivery).where(WebhookDelivery.id.in_(delivery_ids))):
        row.started_at = at


def tell_export(session: Session, row: Export | Moving, *, at: datetime, key: str) -> None:
    """Write the messages about an export's new state, which `key` names; no names and no amounts."""
    event = EVENT_OF_STATE.get(row.state)
    if event is None:
        return
    quickbooks, error = row.quickbooks or {}, row.error
    data = {
        "company_id": row.company_id,
        "kind": row.kind,
        "document_id": row.document_id,
        "state": row.state,
        "ref_number": quickbooks.get("ref_number") or row.ref_number,
        "txn_id": quickbooks.get("txn_id"),
        "differences": [{"path": one["path"], "by": one["by"]} for one in quickbooks.get("differences", ())],
        "error": _thin(error) if error else None,
    }
    tell(session, row.company_id, event, data, at=at, key=f"{row.id}/{key}")


def noted_problem(session: Session, owner: Company, problem: dict[str, Any], *, at: datetime) -> dict[str, Any]:
    """Write the messages about a connection's problem, unless it is the one known already; gives the problem back."""
    if (owner.problem or {}).get("code") != problem.get("code"):
        key = f"problem/{problem.get('code')}/{at.isoformat()}"
        tell(session, owner.id, EVENT_PROBLEM, {"company_id": owner.id, **_thin(problem)}, at=at, key=key)
    return problem


def tell(session: Session, company_id: str, event: str, data: dict[str, Any], *, at: datetime, key: str) -> None:
    """Write one message for each webhook of the company that wants this event; `key` names it within the company."""
    for found in webhooks(session, company_id):
        if found.enabled and event in found.events:
            digest = hashlib.sha256(f"{found.id}/{company_id}/{key}".encode()).hexdigest()
            session.add(
                WebhookDelivery(
                    id=f"msg_{digest[:ID_LENGTH]}",
                    webhook_id=found.id,
                    company_id=company_id,
                    event=event,
                    payload={"type": event, "timestamp": at.isoformat(), "data": data},
                    state=PENDING,
                    attempts=0,
                    created_at=at,
                    available_at=at,
                )
            )


def _thin(error: dict[str, Any]) -> dict[str, Any]:
    """Leave code, owner and next step. Next steps about one document name its customer: they are left out, too."""
    names_parties = bool(error.get("issues")) or error.get("code") == "wrong_company_file"
    next_step = SEE_API if names_parties else error.get("next_step")
    return {"code": error.get("code"), "owner": error.get("owner"), "next_step": next_step}
