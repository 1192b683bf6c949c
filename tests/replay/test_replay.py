"""Saved histories replay on today's workflow code: what runs in production goes on after an upgrade.

New ones: QBD_SAVE_HISTORIES=1 ./qbd test tests/workflow. Keep the old ones; they stand for exports under way. How a
workflow is changed: the docstring of `workflows`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from tests.replay.changes import Before, Unpatched
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


def replayer_of(changed: type) -> Replayer:
    return Replayer(workflows=[changed], data_converter=pydantic_data_converter)


def saved(name: str) -> WorkflowHistory:
    [path] = [path for path in HISTORIES if path.stem == name]
    return WorkflowHistory.from_json(name, path.read_text())


OLD_WAY, NEW_WAY = "cancelled_in_quickbooks", "cancelled_in_quickbooks_said"
"""The same story, recorded with the program before the newest patch, and with the one after it."""


async def test_a_history_from_before_a_change_replays_after_it_because_of_its_patch() -> None:
    """The run passed the changed place with the program before; without the patch it could not go on."""
    await replayer_of(Before).replay_workflow(saved(OLD_WAY))
    await replayer().replay_workflow(saved(OLD_WAY))
    with pytest.raises(NondeterminismError):
        await replayer_of(Unpatched).replay_workflow(saved(OLD_WAY))


async def test_a_run_that_took_the_new_way_cannot_go_back_to_the_old_program() -> None:
    """So old and new workers at once are late with such a run, and a program is not rolled back under it."""
    await replayer().replay_workflow(saved(NEW_WAY))
    with pytest.raises(NondeterminismError):
        await replayer_of(Before).replay_workflow(saved(NEW_WAY))


def test_every_way_an_export_can_end_is_saved() -> None:
    """A folder that lost its histories would prove nothing."""
    assert {path.stem for path in HISTORIES} >= {
        "successful",
        "not_mapped",
        "refused",
        "requeued",
        "cancelled",
        "cancelled_too_late",
        "cancelled_in_quickbooks",
        "cancelled_in_quickbooks_said",
        "cancelled_when_given_back",
        "list_sync",
        "webhook_delivered",
        "webhook_failed",
    }
