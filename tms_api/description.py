"""What every route shares in the OpenAPI document: problems, the scope it needs, the Idempotency-Key."""

from __future__ import annotations

from typing import Any

from tms_api import idempotency
from tms_api.access import required_scope
from tms_api.problems import Problem, documented

KEYED = "/v1"
"""Every route below it wants a key."""
IDEMPOTENCY_PARAMETER = {
    "name": idempotency.HEADER,
    "in": "header",
    "required": False,
    "description": "Makes a repeated request the same one: for 24 hours it gets the first answer and does nothing. "
    "Answers to repeated requests hold no passwords.",
    "schema": {"type": "string", "pattern": idempotency.KEY_PATTERN},
    "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
}
EXAMPLE_PROBLEM = {
    "type": "urn:tms-quickbooks:problem:company_not_found",
    "code": "company_not_found",
    "title": "Not Found",
    "status": 404,
    "detail": "There is no company with this id.",
    "issues": [],
}


def complete(schema: dict[str, Any]) -> None:
    """Add what all operations under /v1 share to the document."""
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    shared = problem.pop("$defs", {})
    components = schema.setdefault("components", {}).setdefault("schemas", {})
    components |= {name: part for name, part in shared.items() if name not in components}
    components["Problem"] = problem | {"examples": [EXAMPLE_PROBLEM]}
    for path, operations in schema["paths"].items():
        if path.startswith(KEYED):
            for method, operation in operations.items():
                _complete_operation(operation, method.upper(), path)


def _complete_operation(operation: dict[str, Any], method: str, path: str) -> None:
    statuses = [401, 403, 429]
    if method == "POST":
        statuses += [400, 409]
        operation.setdefault("parameters", []).append(IDEMPOTENCY_PARAMETER)
    for status, described in documented(*statuses).items():
        operation["responses"].setdefault(str(status), described)
    scope = required_scope(method, path)
    operation["x-required-scope"] = scope
    operation["description"] = f"{operation.get('description', '')}\n\nNeeds the scope `{scope}`.".strip()
