"""One message to a webhook: tried until the receiver takes it, with growing pauses, for days."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ApplicationErrorCategory

# Names and not modules: `from workflows import contracts` goes round the sandbox's importer, which would then run that
# module anew for every workflow.
with workflow.unsafe.imports_passed_through():
    from workflows.raw_input import MALFORMED_INPUT, read_input
    from workflows.webhook_contracts import (
        ACTIVITY_DELIVER,
        ACTIVITY_GIVE_UP,
        WORKFLOW_TYPE,
        DeliveryInput,
        DeliveryResult,
    )

TRY_TIMEOUT = timedelta(seconds=60)
"""Above the time that one try gives its receiver."""
PAUSE_MAX = timedelta(hours=6)
STEP_TIMEOUT = timedelta(seconds=30)


@workflow.defn(name=WORKFLOW_TYPE)
class WebhookDelivery:
    """One run of one delivery; a redelivery is another run."""

    @workflow.run
    async def run(self, *values: Any) -> DeliveryResult:
        """Deliver what a `DeliveryInput` names, or note that nobody took it: the delivery log tells how it ended.

        Fails only when the input is none.
        """
        inp = read_input(values, DeliveryInput)
        if isinstance(inp, str):
            raise ApplicationError(
                inp, type=MALFORMED_INPUT, non_retryable=True, category=ApplicationErrorCategory.BENIGN
            )
        try:
            await workflow.execute_activity(
                ACTIVITY_DELIVER,
                inp,
                start_to_close_timeout=TRY_TIMEOUT,
                schedule_to_close_timeout=timedelta(seconds=inp.give_up_after_s),
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(seconds=inp.first_pause_s), maximum_interval=PAUSE_MAX
                ),
            )
        except ActivityError:
            # Also when somebody cancelled it: the log must not say "pending" for ever.
            await workflow.execute_local_activity(ACTIVITY_GIVE_UP, inp, start_to_close_timeout=STEP_TIMEOUT)
            return DeliveryResult(state="failed")
        return DeliveryResult(state="delivered")
