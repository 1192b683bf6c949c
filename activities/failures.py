"""What keeps a document back, as the failure of its export."""

from __future__ import annotations

from mapping.issues import Issue
from workflows.contracts import Failure

TEXT_MAX = 4000
"""Longest text that a state change may put into a row."""


def failure_of(issues: list[Issue]) -> Failure:
    """Say every error of a document in one failure; warnings did not keep it back."""
    issues = [issue for issue in issues if issue.is_error]
    first = issues[0]
    others = "" if len(issues) == 1 else f" ({len(issues)} problems in all)"
    return Failure(
        code="document_not_exportable",
        message="; ".join(f"{issue.path}: {issue.message}" for issue in issues)[:TEXT_MAX],
        explanation=f"{first.message}{others}",
        owner=first.owner,
        next_step=" ".join(dict.fromkeys(issue.next_step for issue in issues))[:TEXT_MAX],
        issues=issues,
    )
