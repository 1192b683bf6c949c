"""Webhooks: who hears of state changes, and the log of what was sent."""

from __future__ import annotations

import asyncio
import secrets as random
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter, Body, Path, Query
from sqlalchemy.orm import Session
from starlette.responses import Response

from activities.webhook_addresses import AddressRefusedError, read_target, resolve, system_lookup
from activities.webhook_signing import SECRET_BYTES, new_secret
from mapping.issues import Issue
from store import webhooks
from store.webhook_tables import Webhook, WebhookDelivery
from tms_api.companies import SHOWN_ONCE, CompanyPath, require_company
from tms_api.problems import ProblemError, documented
from tms_api.security import SHOWN_IN_OPENAPI, KeyedRoute
from tms_api.services import ApiServices, Services
from tms_api.webhook_models import (
    DeliveryList,
    DeliveryView,
    NewWebhook,
    SecretRequest,
    WebhookChanges,
    WebhookList,
    WebhookView,
    WebhookWithSecret,
    delivery_view,
    webhook_fields,
)

WEBHOOKS_MAX = 20
"""Each state change writes a row for each of them."""
LOOKUP_S = 3.0
ID_PATTERN = r"^[A-Za-z0-9_]+$"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

WebhookPath = Annotated[str, Path(min_length=1, max_length=40, pattern=ID_PATTERN, description="Id of the webhook.")]
DeliveryPath = Annotated[str, Path(min_length=1, max_length=40, pattern=ID_PATTERN, description="Id of the message.")]

router = APIRouter(
    prefix="/v1/companies/{company}/webhooks",
    tags=["webhooks"],
    route_class=KeyedRoute,
    dependencies=[SHOWN_IN_OPENAPI],
    responses=documented(400, 401, 404, 413, 422, 500, 503),
)


@router.post("", status_code=201, responses=documented(409))
async def create_webhook(
    company: CompanyPath, body: NewWebhook, services: Services, response: Response
) -> WebhookWithSecret:
    """Add an address that hears of state changes. The answer holds its secret, which is never shown again."""
    await _check(services, body.url)
    response.headers.update(SHOWN_ONCE)
    return await to_thread.run_sync(_create, services, company, body)


@router.get("")
def list_webhooks(company: CompanyPath, services: Services) -> WebhookList:
    """List the webhooks of a company."""
    with services.database.transaction() as session:
        require_company(session, company)
        items = [WebhookView(**webhook_fields(row)) for row in webhooks.webhooks(session, company)]
    return WebhookList(items=items)


@router.get("/{webhook}")
def get_webhook(company: CompanyPath, webhook: WebhookPath, services: Services) -> WebhookView:
    """Show a webhook."""
    with services.database.transaction() as session:
        return WebhookView(**webhook_fields(_require(session, company, webhook)))


@router.patch("/{webhook}")
async def change_webhook(
    company: CompanyPath, webhook: WebhookPath, body: WebhookChanges, services: Services
) -> WebhookView:
    """Change a webhook, or switch it off and on. Messages under way go to the new address."""
    if body.url is not None:
        await _check(services, body.url)
    return await to_thread.run_sync(_change, services, company, webhook, body)


@router.delete("/{webhook}", status_code=204, response_class=Response)
def delete_webhook(company: CompanyPath, webhook: WebhookPath, services: Services) -> Response:
    """Remove a webhook and its log; one that is not there is no error. Messages under way are dropped."""
    with services.database.transaction() as session:
        require_company(session, company)
        row = webhooks.webhook(session, company, webhook, lock=True)
        if row is not None:
            session.delete(row)
    return Response(status_code=204)


@router.post("/{webhook}/rotate-secret")
def rotate_secret(
    company: CompanyPath,
    webhook: WebhookPath,
    services: Services,
    response: Response,
    body: Annotated[SecretRequest | None, Body()] = None,
) -> WebhookWithSecret:
    """Make a new secret. For a grace time messages are signed with both."""
    minutes = (body or SecretRequest()).grace_minutes
    now = services.clock()
    with services.database.transaction() as session:
        row = _require(session, company, webhook, lock=True)
        row.previous_secret = row.secret if minutes else None
        row.previous_until = now + timedelta(minutes=minutes) if minutes else None
        secret = _new_secret(services, row)
        row.updated_at = now
        view = WebhookWithSecret(**webhook_fields(row), secret=secret)
    response.headers.update(SHOWN_ONCE)
    return view


@router.get("/{webhook}/deliveries")
def list_deliveries(
    company: CompanyPath,
    webhook: WebhookPath,
    services: Services,
    state: Annotated[
        Literal["pending", "delivered", "failed"] | None, Query(description="Only messages in this state.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Messages on a page.")] = 50,
    cursor: Annotated[
        str | None, Query(pattern=r"^[0-9]{1,16}\.[A-Za-z0-9_]{1,40}$", description="From the page before.")
    ] = None,
) -> DeliveryList:
    """List what was sent, newest first."""
    at, _, last_id = (cursor or "").partition(".")
    before = (EPOCH + timedelta(microseconds=int(at)), last_id) if at else None
    with services.database.transaction() as session:
        _require(session, company, webhook)
        rows = webhooks.deliveries(session, webhook, state=state, before=before, limit=limit + 1)
    items = [delivery_view(row) for row in rows[:limit]]
    return DeliveryList(items=items, cursor=_cursor(rows[limit - 1]) if len(rows) > limit else None)


@router.post("/{webhook}/deliveries/{delivery}/redeliver", status_code=202, responses=documented(409))
def redeliver(company: CompanyPath, webhook: WebhookPath, delivery: DeliveryPath, services: Services) -> DeliveryView:
    """Send a message again, with the same `webhook-id`, so that the receiver can know it."""
    now = services.clock()
    with services.database.transaction() as session:
        owner = _require(session, company, webhook)
        row = webhooks.delivery(session, delivery, lock=True)
        if row is None or row.webhook_id != owner.id:
            raise ProblemError(404, "delivery_not_found", "This webhook has no such message.")
        if row.state == webhooks.PENDING:
            raise ProblemError(409, "delivery_pending", "This message is still being tried; wait for its end.")
        if not owner.enabled:
            raise ProblemError(409, "webhook_disabled", "This webhook is switched off; switch it on first.")
        row.state = webhooks.PENDING
        row.run += 1
        row.started_at = None
        row.finished_at = None
        row.available_at = now
        session.flush()
        return delivery_view(row)


def _create(services: ApiServices, company: str, body: NewWebhook) -> WebhookWithSecret:
    now = services.clock()
    with services.database.transaction() as session:
        require_company(session, company, lock=True)
        if len(webhooks.webhooks(session, company)) >= WEBHOOKS_MAX:
            detail = f"A company may have at most {WEBHOOKS_MAX} webhooks; remove one first."
            raise ProblemError(409, "too_many_webhooks", detail)
        row = Webhook(
            id=f"wh_{random.token_hex(10)}",
            company_id=company,
            url=body.url,
            events=list(dict.fromkeys(body.events)),
            description=body.description,
            enabled=True,
            disabled_reason="",
            created_at=now,
            updated_at=now,
        )
        secret = _new_secret(services, row)
        session.add(row)
        session.flush()
        return WebhookWithSecret(**webhook_fields(row), secret=secret)


def _new_secret(services: ApiServices, row: Webhook) -> str:
    """Give the webhook a new secret, stored encrypted where there is a key for that."""
    secret = new_secret(random.token_bytes(SECRET_BYTES))
    row.secret = services.secret_box.seal(secret, webhooks.secret_place(row.id))
    return secret


def _change(services: ApiServices, company: str, webhook: str, body: WebhookChanges) -> WebhookView:
    with services.database.transaction() as session:
        row = _require(session, company, webhook, lock=True)
        for name, value in body.model_dump(exclude_none=True).items():
            setattr(row, name, value)
        if body.enabled:
            row.disabled_reason = ""
        row.updated_at = services.clock()
        session.flush()
        return WebhookView(**webhook_fields(row))


def _require(session: Session, company: str, webhook: str, *, lock: bool = False) -> Webhook:
    require_company(session, company)
    row = webhooks.webhook(session, company, webhook, lock=lock)
    if row is None:
        raise ProblemError(404, "webhook_not_found", "This company has no such webhook.")
    return row


async def _check(services: ApiServices, url: str) -> None:
    """Refuse what leads into a private network. Each delivery judges it again: names change."""
    allow_private = services.webhook_allow_private
    try:
        target = read_target(url, allow_private=allow_private)
        async with asyncio.timeout(LOOKUP_S):
            await resolve(target, allow_private=allow_private, lookup=system_lookup)
    except AddressRefusedError as error:
        issue = Issue(
            code="url_refused",
            path="url",
            message=f"`url` cannot be used: {error}.",
            next_step="Give a public https address of the TMS.",
        )
        detail = "This address cannot get messages; the reason is in `issues`."
        raise ProblemError(422, "url_refused", detail, issues=[issue]) from error
    except OSError:
        return  # a name that does not exist yet; the delivery log will say so if that stays


def _cursor(row: WebhookDelivery) -> str:
    return f"{(row.created_at - EPOCH) // timedelta(microseconds=1)}.{row.id}"
