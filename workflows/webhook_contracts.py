"""Names and payloads of webhook deliveries, shared by worker, starter and API. They only ever gain optional fields."""

from __future__ import annotations

from pydantic import BaseModel, Field

TASK_QUEUE = "qbd-webhooks"
"""Their own: a receiver that is slow holds up no export."""
WORKFLOW_TYPE = "WebhookDelivery"
ACTIVITY_DELIVER = "deliver_webhook"
ACTIVITY_GIVE_UP = "give_up_webhook"

FIRST_PAUSE_S = 5.0
GIVE_UP_AFTER_S = 3 * 86_400.0
PATIENCE_MAX_S = 30 * 86_400.0


class DeliveryInput(BaseModel):
    """Which message, and how patiently: the pauses between two tries double, up to six hours."""

    delivery_id: str
    first_pause_s: float = Field(default=FIRST_PAUSE_S, gt=0, le=PATIENCE_MAX_S)
    give_up_after_s: float = Field(default=GIVE_UP_AFTER_S, gt=0, le=PATIENCE_MAX_S)


class DeliveryResult(BaseModel):
    """What became of it: delivered | failed."""

    state: str


def delivery_workflow_id(delivery_id: str, run: int = 1) -> str:
    """Give the id under which a message is delivered; starting it twice is the same delivery.

    A redelivery has its own: the workflow before it may still be about to end.
    """
    return f"webhook/{delivery_id}" if run == 1 else f"webhook/{delivery_id}/{run}"
