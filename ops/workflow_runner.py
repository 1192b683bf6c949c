"""How workers run workflow code: checked in the sandbox when a worker begins, and then run outside it.

The sandbox (temporal.md 3) imports a workflow's module anew for every run and passes a guard at every step of it, which
took half of a worker's time. What it guards against while a run goes on, a look at the clock or at chance, is shown
by the tests: they run every workflow in the sandbox, and replay the saved histories.
"""

from __future__ import annotations

from temporalio.worker import UnsandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy, _Definition


class CheckedRunner(UnsandboxedWorkflowRunner):
    """Refuses a workflow whose file imports what it should not, as the sandbox does; runs the others without guard."""

    def prepare_workflow(self, defn: _Definition) -> None:
        """Load the workflow once in the sandbox."""
        strict_sandbox().prepare_workflow(defn)


def strict_sandbox() -> SandboxedWorkflowRunner:
    """Give the sandbox that takes no import but those that a workflow's file names as passed through."""
    policy = SandboxImportNotificationPolicy
    restrictions = SandboxRestrictions.default.with_import_notification_policy(
        policy.WARN_ON_DYNAMIC_IMPORT | policy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
    )
    return SandboxedWorkflowRunner(restrictions=restrictions)
