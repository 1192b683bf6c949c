"""Every sample against what is expected of it, and every good one against its recorded request."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from pathlib import Path
from types import ModuleType

import pytest
from lxml import etree

from mapping.result import Mapped
from qbxml.envelope import build_message_set, build_request_element

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
GOLDEN = Path(__file__).parent / "data"
EXPECTED = json.loads((SAMPLES / "expected.json").read_text(encoding="utf-8"))
GOOD = [name for name, outcome in EXPECTED.items() if outcome == "Successful"]
WRONG = [name for name, outcome in EXPECTED.items() if outcome != "Successful"]


@pytest.fixture(scope="session")
def validate() -> ModuleType:
    """Intuit's schemas, which may not be copied into the project."""
    path = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "schema" / "validate.py"
    if not path.is_file():
        pytest.skip("the schemas of qbXML are not beside this project")
    spec = importlib.util.spec_from_file_location("qbxml_validate", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _request(run, load_sample, name):
    mapped = run(load_sample(name))
    assert isinstance(mapped, Mapped), mapped
    return build_request_element(mapped.transaction, "1")


def test_every_sample_is_expected():
    found = {f"{path.parent.name}/{path.name}" for path in SAMPLES.glob("*/*.json")}
    assert found == set(EXPECTED)
    assert len([name for name in found if name.startswith("invoices/")]) >= 12
    assert len([name for name in found if name.startswith("carrier_bills/")]) >= 10


def test_every_sample_has_its_line_in_the_readme():
    told = set(re.findall(r"`([a-z_]+/[a-z0-9_]+\.json)`", (SAMPLES / "README.md").read_text(encoding="utf-8")))
    assert told == set(EXPECTED)


@pytest.mark.parametrize("name", GOOD)
def test_good_sample_gives_its_recorded_request(run, load_sample, name):
    element = etree.fromstring(_request(run, load_sample, name))
    etree.indent(element)
    text = etree.tostring(element, encoding="unicode") + "\n"
    golden = (GOLDEN / name).with_suffix(".xml")
    if os.environ.get("QBD_UPDATE_GOLDEN") == "1":
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_no_recorded_request_is_left_over():
    assert {path.relative_to(GOLDEN).with_suffix(".json").as_posix() for path in GOLDEN.glob("*/*.xml")} == set(GOOD)


@pytest.mark.parametrize("version", ["13.0", "16.0"])
@pytest.mark.parametrize("name", GOOD)
def test_good_sample_is_valid(run, load_sample, validate, name, version):
    document = build_message_set([_request(run, load_sample, name)], version=version).encode("ascii")
    assert validate.errors(version, document) == []
    assert validate.edition_errors(document) == []


@pytest.mark.parametrize("name", WRONG)
def test_wrong_sample_gives_exactly_its_issues(run, load_sample, name):
    issues = run(load_sample(name))
    assert isinstance(issues, list)
    assert [issue.code for issue in issues] == EXPECTED[name]["refused"]
