"""What a mapping may say."""

from __future__ import annotations

import unicodedata

import pytest

from mapping.rules import CompanyMapping, Target, parse_mapping


def test_the_sample_survives_json(load_sample):
    mapping = parse_mapping(load_sample("mapping.json"))
    assert isinstance(mapping, CompanyMapping)
    assert CompanyMapping.model_validate_json(mapping.model_dump_json()) == mapping


def test_names_keep_their_letters():
    name = "Müller & Söhne, Großhandel"
    assert Target(full_name=unicodedata.normalize("NFD", name)).full_name == name


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"customers": {"cus_1": {}}}, "customers.cus_1"),
        ({"customers": {"cus_1": {"full_name": ""}}}, "customers.cus_1.full_name"),
        ({"customers": {"cus_1": {"full_name": "日本"}}}, "customers.cus_1.full_name"),
        ({"customers": {"cus_1": {"full_name": "a\nb"}}}, "customers.cus_1.full_name"),
        ({"customers": {"cus_1": {"list_id": "80 01"}}}, "customers.cus_1.list_id"),
        ({"carriers": {"car_1": {"full_name": "N" * 42}}}, "carriers.car_1"),
        ({"terms": {"Net 30": {"full_name": "N" * 32}}}, "terms.Net 30"),
        ({"charges": {"FUEL": {"carrier_bill": {}}}}, "charges.FUEL.carrier_bill"),
        (
            {"charges": {"FUEL": {"carrier_bill": {"item": {"full_name": "a"}, "account": {"full_name": "b"}}}}},
            "charges.FUEL.carrier_bill",
        ),
        (
            {"defaults": {"carrier_bill": {"item": {"full_name": "a"}, "account": {"full_name": "b"}}}},
            "defaults.carrier_bill",
        ),
        ({"vendors": {}}, "vendors"),
    ],
)
def test_refused(data, path):
    issues = parse_mapping(data)
    assert isinstance(issues, list)
    assert [issue.path for issue in issues] == [path]
