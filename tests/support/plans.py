"""PostgreSQL's plan for a statement that is planned once, for all values, as a bridge has it."""

from __future__ import annotations

import json
import re
from typing import Any

import psycopg
from sqlalchemy import Connection

_MARK = re.compile(r"%%|%\((\w+)\)s")


def planned_once(connection: Connection, statement: str, parameters: Any, options: str = "format json") -> Any:
    """Explain a statement as the driver has it, with what `explain` takes in brackets; gives the topmost node."""
    names: list[str] = []

    def numbered(mark: re.Match[str]) -> str:
        name = mark[1]
        if name is None:
            return "%"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    text = _MARK.sub(numbered, statement)
    values = f"({', '.join(['%s'] * len(names))})" if names else ""
    raw: Any = connection.connection.driver_connection
    with psycopg.ClientCursor(raw) as cursor:
        cursor.execute("set local plan_cache_mode = force_generic_plan")
        cursor.execute(f"prepare planned_once as {text}".encode())
        try:
            cursor.execute(f"explain ({options}) execute planned_once{values}".encode(), [parameters[n] for n in names])
            [[plan]] = cursor.fetchall()
        finally:
            cursor.execute("deallocate planned_once")
    return (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
