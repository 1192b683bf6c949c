"""The samples of the project, as the tests of the mapping use them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mapping.dispatch import map_document
from mapping.documents import CarrierBill, Invoice, parse_document
from mapping.issues import Issue
from mapping.result import Mapped, external_guid_for
from mapping.rules import CompanyMapping, CompanyRules, parse_mapping

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def _load(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text(encoding="utf-8"))


@pytest.fixture
def load_sample() -> Callable[[str], Any]:
    """Reads one sample by its path inside the folder of samples."""
    return _load


@pytest.fixture
def rules() -> CompanyRules:
    """The company of the samples."""
    mapping = parse_mapping(_load("mapping.json"))
    assert isinstance(mapping, CompanyMapping)
    return CompanyRules(mapping=mapping)


@pytest.fixture
def invoice() -> dict[str, Any]:
    """An invoice in which nothing is wrong, to be spoilt by a test."""
    return copy.deepcopy(_load("invoices/linehaul_fuel.json"))


@pytest.fixture
def bill() -> dict[str, Any]:
    """A carrier bill in which nothing is wrong, to be spoilt by a test."""
    return copy.deepcopy(_load("carrier_bills/linehaul_fuel.json"))


@pytest.fixture
def run(rules: CompanyRules) -> Callable[..., Mapped | list[Issue]]:
    """Parses and maps posted data with the rules of the samples, or with other ones."""

    def run(data: dict[str, Any], *, rules: CompanyRules = rules, taken: Any = ()) -> Mapped | list[Issue]:
        document = parse_document(data)
        assert isinstance(document, (Invoice, CarrierBill)), document
        guid = external_guid_for("co_1", document.kind, document.id, "1")
        return map_document(document, rules, taken=taken, external_guid=guid)

    return run
