"""The OpenAPI document as generators of types read it: a caller may leave out what the API does not need."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tms_api.app import _Api, _routes
from tms_api.description import tell_defaults_in_words

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    app = _Api(title="API", docs_url=None, redoc_url=None)
    app.router.routes.extend(_routes())
    return app.openapi()


def sent(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object that a request's body may hold, at any depth, by where it stands."""
    seen: set[str] = set()

    def within(node: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if isinstance(node, list):
            for one in node:
                yield from within(one, where)
        if not isinstance(node, dict):
            return
        if isinstance(node.get("properties"), dict):
            yield where, node
        if isinstance(node.get("$ref"), str):
            name = node["$ref"].rpartition("/")[2]
            if name not in seen:
                seen.add(name)
                yield from within(schema["components"]["schemas"][name], name)
        for key, one in node.items():
            if key not in ("example", "examples"):
                yield from within(one, where)

    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            yield from within(operation.get("requestBody"), f"{method} {path}")


def test_no_field_of_a_request_has_a_default_that_makes_it_needed(schema: dict[str, Any]) -> None:
    """Generators take a field with a default for one that is always there."""
    found = list(sent(schema))
    assert {"Invoice", "CarrierBill", "CompanyMapping", "NewCompany"} <= {where for where, _ in found}
    for where, described in found:
        assert [name for name, one in described["properties"].items() if "default" in one] == [], where
        assert set(described.get("required", ())) <= set(described["properties"]), where


def test_what_the_guide_leaves_out_is_not_needed(schema: dict[str, Any]) -> None:
    components = schema["components"]["schemas"]
    assert set(components["Invoice"]["required"]) == {"kind", "id", "number", "customer", "date", "lines", "total"}
    assert set(components["NewCompany"]["required"]) == {"name", "quickbooks_release"}
    assert not components["CompanyMapping"].get("required")
    page = (PROJECT / "docs" / "integration.md").read_text("utf-8")
    [connect] = re.findall(r"-d '(\{\"id\": \"acme-logistics\".*?\})'", page)
    for name in components["NewCompany"]["required"]:
        assert f'"{name}":' in connect


def test_defaults_are_told_in_words(schema: dict[str, Any]) -> None:
    described = schema["components"]["schemas"]["NewCompany"]["properties"]
    assert described["run_every_minutes"]["description"].endswith("Default: `15`.")
    assert described["confirm_first_file"]["description"].endswith("Default: `true`.")


def test_answers_keep_what_they_say() -> None:
    """A default of an answer stays, whose field is always there; a field that callers must send is left alone."""
    of_answer = {"properties": {"a": {"default": 1}}}
    of_request = {"properties": {"a": {"default": 1}, "b": {"default": 2}}, "required": ["b"]}
    document = {
        "paths": {"/x": {"post": {"requestBody": {"content": {"x": {"schema": {"$ref": "#/c/s/In"}}}}}}},
        "components": {"schemas": {"In": copy.deepcopy(of_request), "Out": copy.deepcopy(of_answer)}},
    }
    tell_defaults_in_words(document)
    assert document["components"]["schemas"] == {
        "In": {"properties": {"a": {"description": "Default: `1`."}, "b": {"default": 2}}, "required": ["b"]},
        "Out": of_answer,
    }
