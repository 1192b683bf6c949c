"""The export workflow before its newest patch, and with the same change unpatched: what the checks are tried on."""

from __future__ import annotations

from temporalio import workflow

from workflows import contracts
from workflows.contracts import ExportInput, Transaction
from workflows.export import TOO_LATE_TEXT, QuickBooksExport


@workflow.defn(name=contracts.WORKFLOW_TYPE, sandboxed=False)
class Before(QuickBooksExport):
    """The program of the release before: nothing is said when a cancellation comes too late."""

    @workflow.init
    def __init__(self, inp: ExportInput) -> None:
        super().__init__(inp)

    @workflow.run
    async def run(self, inp: ExportInput) -> Transaction:
        return await super().run(inp)

    async def _say_it_is_too_late(self) -> None:
        return


@workflow.defn(name=contracts.WORKFLOW_TYPE, sandboxed=False)
class Unpatched(QuickBooksExport):
    """The same change by somebody who forgot that exports are under way."""

    @workflow.init
    def __init__(self, inp: ExportInput) -> None:
        super().__init__(inp)

    @workflow.run
    async def run(self, inp: ExportInput) -> Transaction:
        return await super().run(inp)

    async def _say_it_is_too_late(self) -> None:
        await self._record(self._view.state, TOO_LATE_TEXT, key="cancel_too_late")
