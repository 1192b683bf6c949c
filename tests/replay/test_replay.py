"""Saved histories replay on today's workflow code: what runs in production goes on after an upgrade.

New ones: QBD_SAVE_HISTORIES=1 ./qbd test tests/workflow. Keep the old ones; they stand for exports under way.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from workflows.export import QuickBooksExport
from workflows.list_sync import QuickBooksListSync
from workflows.webhook import WebhookDelivery

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def replayer() -> Replayer:
    workflows = [QuickBooksExport, QuickBooksListSync, WebhookDelivery]
    return Replayer(workflows=workflows, data_converter=pydantic_data_converter)


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_saved_history_replays(path: Path) -> None:
    """No command differs."""
    await replayer().replay_workflow(WorkflowHistory.from_json(path.stem, path.read_text()))


async def test_a_changed_history_is_noticed() -> None:
    """The check can fail: a history with another activity name does not replay."""
    text = next(path for path in HISTORIES if path.stem == "successful").read_text()
    import json

    history = json.loads(text)
    events = [
        event for event in history["events"] if event["eventType"] != "EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"
    ]
    for number, event in enumerate(events, start=1):
        event["eventId"] = str(number)
    history["events"] = events
    with pytest.raises(NondeterminismError):
        await replayer().replay_workflow(WorkflowHistory.from_json("changed", json.dumps(history)))


def test_every_way_an_export_can_end_is_saved() -> None:
    """A folder that lost its histories would prove nothing."""
    assert {path.stem for path in HISTORIES} >= {
        "successful",
        "not_mapped",
        "refused",
        "requeued",
        "cancelled",
        "cancelled_too_late",
        "list_sync",
        "webhook_delivered",
        "webhook_failed",
    }
