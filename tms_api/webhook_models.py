"""What the API takes and says about webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from store.webhook_tables import Webhook, WebhookDelivery

Event = Literal[
    "export.sent",
    "export.successful",
    "export.failed",
    "export.cancelled",
    "connection.problem",
    "connection.stale",
    "connection.recovered",
    "exports.missing",
]
Url = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Events = Annotated[list[Event], Field(min_length=1, max_length=len(get_args(Event)))]
Description = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*$")]
ALL_EVENTS: tuple[Event, ...] = get_args(Event)
EXAMPLE_URL = "https://tms.example.com/hooks/quickbooks"
EXAMPLE_PAYLOAD: dict[str, Any] = {
    "type": "export.successful",
    "timestamp": "2026-11-23T10:04:11+00:00",
    "data": {
        "company_id": "acme-logistics",
        "kind": "invoice",
        "document_id": "inv_48213",
        "state": "Successful",
        "ref_number": "26-004821",
        "txn_id": "5A2B-1767225600",
        "differences": [{"path": "total", "by": "sales_tax"}],
        "error": None,
    },
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewWebhook(_Body):
    """An address that shall hear of state changes."""

    url: Url = Field(description="Where messages are posted: https, public, answers 2xx.", examples=[EXAMPLE_URL])
    events: Events = Field(
        default=list(ALL_EVENTS),
        description="Of what it shall hear.",
        examples=[["export.successful", "export.failed"]],
    )
    description: Description = Field(default="", description="For people.", examples=["TMS production"])


class WebhookChanges(_Body):
    """What to change; fields that are absent or null stay as they are."""

    url: Url | None = Field(default=None, description="New address.", examples=[EXAMPLE_URL])
    events: Events | None = Field(default=None, description="New events.")
    description: Description | None = Field(default=None, description="For people.")
    enabled: bool | None = Field(default=None, strict=True, description="Whether it gets messages.")


class SecretRequest(_Body):
    """How to change the secret."""

    grace_minutes: Annotated[int, Field(strict=True, ge=0, le=10_080)] = Field(
        default=1440, description="How long messages carry a signature of the old secret, too.", examples=[1440]
    )


class WebhookView(BaseModel):
    """A webhook."""

    id: str = Field(description="Id.", examples=["wh_0f8fad5bd9cb469f"])
    url: str = Field(description="Where messages are posted.", examples=[EXAMPLE_URL])
    events: list[Event] = Field(description="Of what it hears.")
    description: str = Field(description="For people.")
    enabled: bool = Field(description="Whether it gets messages.")
    disabled_reason: str | None = Field(description="Why it was switched off by us: the receiver answered 410.")
    created_at: datetime = Field(description="When it was made.")
    updated_at: datetime = Field(description="When it was changed last.")


class WebhookWithSecret(WebhookView):
    """A webhook with its secret."""

    secret: str | None = Field(
        description="Verifies messages, as Standard Webhooks says: shown here and never again; null in a repeated "
        "answer.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )


class WebhookList(BaseModel):
    """The webhooks of a company, oldest first."""

    items: list[WebhookView] = Field(description="Webhooks.")


class DeliveryView(BaseModel):
    """One message and what became of it."""

    id: str = Field(description="Id: the `webhook-id` that the receiver sees, the same at each try.")
    event: Event = Field(description="What it tells of.")
    payload: dict[str, Any] = Field(description="What is posted.", examples=[EXAMPLE_PAYLOAD])
    state: Literal["pending", "delivered", "failed"] = Field(description="`failed`: nobody took it for days.")
    attempts: int = Field(description="How often it was tried.")
    last_status: int | None = Field(description="HTTP status of the last answer; null: there was none.")
    last_error: str = Field(description="Why the last try did not do.")
    created_at: datetime = Field(description="When it happened.")
    last_attempt_at: datetime | None = Field(description="When it was tried last.")
    finished_at: datetime | None = Field(description="When it was delivered or given up.")


class DeliveryList(BaseModel):
    """A page of messages, newest first."""

    items: list[DeliveryView] = Field(description="Messages.")
    cursor: str | None = Field(description="Send it to get the next page; null on the last one.")


def webhook_fields(row: Webhook) -> dict[str, Any]:
    """Give the fields of `WebhookView`."""
    return {
        "id": row.id,
        "url": row.url,
        "events": row.events,
        "description": row.description,
        "enabled": row.enabled,
        "disabled_reason": row.disabled_reason or None,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def delivery_view(row: WebhookDelivery) -> DeliveryView:
    """Show a message."""
    return DeliveryView.model_validate(row, from_attributes=True)
