"""`qbd exports`: the exports that an operator asks for, as a table, as JSON, or as the same question to Temporal."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from ops.database import open_database
from ops.problems import ProblemError
from ops.settings import Settings
from store import companies, exports
from store.exports import ExportFilter
from store.tables import Export
from workflows import contracts
from workflows.contracts import ExportState
from workflows.search_attributes import COMPANY_ID, ERROR_CODE, EXPORT_OWNER, EXPORT_STATE

OWNERS = ("tms_user", "bookkeeper", "it", "us")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
PENDING = "pending"
_SPAN = re.compile(r"(\d{1,5})(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for; None is anything."""

    company: str | None = None
    states: tuple[ExportState, ...] | None = None
    owner: str | None = None
    code: str | None = None
    since: datetime | None = None


def wanted_from(
    *, company: str | None, state: str | None, owner: str | None, code: str | None, since: str | None, now: datetime
) -> Wanted:
    """Read the options; raise `ProblemError` with the choices for a word that is none of them."""
    if owner is not None and owner not in OWNERS:
        raise ProblemError(f"There is no owner {owner!r}; choose from {', '.join(OWNERS)}.")
    return Wanted(
        company=company,
        states=_states(state) if state is not None else None,
        owner=owner,
        code=code,
        since=since_from(since, now) if since is not None else None,
    )


def since_from(text: str, now: datetime) -> datetime:
    """Read "3d", "12h", "monday" (the last one, today included), "today" or "2026-11-20" as a time; days are UTC."""
    word = text.strip().lower()
    midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    if match := _SPAN.fullmatch(word):
        return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
    if word == "today":
        return midnight
    if word in WEEKDAYS:
        return midnight - timedelta(days=(midnight.weekday() - WEEKDAYS.index(word)) % 7)
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ProblemError(f"{text!r} is no time; write 3d, 12h, monday, today or 2026-11-20.") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def visibility_query(wanted: Wanted) -> str:
    """Give the same question in Temporal's list filter.

    Temporal lists runs, and counts them by their own end: an export that failed and was exported again later shows
    its failed run there, and only its newest state here.
    """
    parts = [f"WorkflowType = {_quoted(contracts.WORKFLOW_TYPE)}"]
    if wanted.company is not None:
        parts.append(f"{COMPANY_ID.name} = {_quoted(wanted.company)}")
    if wanted.states is not None:
        states = ", ".join(_quoted(state.value) for state in wanted.states)
        parts.append(f"{EXPORT_STATE.name} IN ({states})")
    if wanted.owner is not None:
        parts.append(f"{EXPORT_OWNER.name} = {_quoted(wanted.owner)}")
    if wanted.code is not None:
        parts.append(f"{ERROR_CODE.name} = {_quoted(wanted.code)}")
    if wanted.since is not None:
        at = wanted.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        is_over = wanted.states is not None and all(state.is_final for state in wanted.states)
        parts.append(f"{'CloseTime' if is_over else 'StartTime'} >= '{at}'")
    return " AND ".join(parts)


def find_exports(settings: Settings, wanted: Wanted, *, limit: int) -> list[dict[str, Any]]:
    """Give them, the last change first; raise `ProblemError` for an unknown company."""
    database = open_database(settings)
    try:
        with database.transaction() as session:
            if wanted.company is not None and companies.company(session, wanted.company) is None:
                raise ProblemError(f"There is no company {wanted.company}.")
            chosen = ExportFilter(
                company_id=wanted.company,
                states=[state.value for state in wanted.states] if wanted.states is not None else None,
                owner=wanted.owner,
                code=wanted.code,
                updated_since=wanted.since,
            )
            return [_row(one) for one in exports.list_latest(session, chosen, limit=limit)]
    finally:
        database.close()


def show(rows: Sequence[dict[str, Any]], console: Console, *, limit: int) -> None:
    """Print a table."""
    if not rows:
        console.print("No exports.")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("workflow", overflow="fold", no_wrap=False)
    for name in ("number", "state", "owner", "code", "changed"):
        table.add_column(name)
    for row in rows:
        changed = datetime.fromisoformat(row["updated_at"]).strftime("%Y-%m-%d %H:%MZ")
        values = (row["workflow_id"], row["number"], row["state"], row["owner"] or "", row["code"] or "", changed)
        table.add_row(*values)
    console.print(table)
    if len(rows) == limit:
        console.print(f"Only the newest {limit}; --limit shows more.")


def as_json(rows: Sequence[dict[str, Any]]) -> str:
    """Give them as one JSON list."""
    return json.dumps(rows, indent=2)


def _row(row: Export) -> dict[str, Any]:
    error = row.error or {}
    return {
        "workflow_id": contracts.export_workflow_id(row.company_id, row.kind, row.document_id),
        "run_id": row.run_id,
        "company_id": row.company_id,
        "kind": row.kind,
        "document_id": row.document_id,
        "number": row.number,
        "state": row.state,
        "status": ExportState(row.state).status,
        "owner": row.owner,
        "code": error.get("code"),
        "next_step": error.get("next_step"),
        "updated_at": row.updated_at.isoformat(),
    }


def _states(word: str) -> tuple[ExportState, ...]:
    if word.lower() == PENDING:
        return tuple(state for state in ExportState if not state.is_final)
    for state in ExportState:
        if state.value.lower() == word.lower():
            return (state,)
    known = ", ".join(state.value.lower() for state in ExportState)
    raise ProblemError(f"There is no state {word!r}; choose from {PENDING}, {known}.")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
