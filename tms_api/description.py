"""What every route shares in the OpenAPI document: problems, the scope it needs, the Idempotency-Key."""

from __future__ import annotations

import json
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
    tell_defaults_in_words(schema)
    for path, operations in schema["paths"].items():
        if path.startswith(KEYED):
            for method, operation in operations.items():
                _complete_operation(operation, method.upper(), path)


def tell_defaults_in_words(schema: dict[str, Any]) -> None:
    """Turn `default` into words wherever it is something that callers send.

    Generators of types take a field with a default for one that is always there (openapi-typescript does by itself).
    That holds for answers; callers would have to send what they may leave out.
    """
    components = schema["components"]["schemas"]
    sent: set[str] = set()
    for operations in schema["paths"].values():
        for operation in operations.values():
            _named_in(operation.get("requestBody"), components, sent)
    for name in sent:
        required = set(components[name].get("required", ()))
        for field, described in components[name].get("properties", {}).items():
            if field in required or "default" not in described:
                continue
            value = described.pop("default")
            if value not in (None, "", [], {}):
                words = f"{described.get('description', '')} Default: `{json.dumps(value)}`."
                described["description"] = words.strip()


def _named_in(node: Any, components: dict[str, Any], found: set[str]) -> None:
    """Add the names of the schemas that are reached from here."""
    if isinstance(node, list):
        for one in node:
            _named_in(one, components, found)
    if not isinstance(node, dict):
        return
    reference = node.get("$ref")
    if isinstance(reference, str) and (name := reference.rpartition("/")[2]) not in found:
        found.add(name)
        _named_in(components[name], components, found)
    for key, one in node.items():
        if key not in ("example", "examples"):
            _named_in(one, components, found)


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
