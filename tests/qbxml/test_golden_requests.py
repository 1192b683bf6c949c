"""Every request, byte for byte, and against the published schemas."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

from qbxml.envelope import build_message_set, build_request_element

DATA = Path(__file__).parent / "data"
SCHEMA = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "schema"


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GOLDEN = load("requests_for_golden", Path(__file__).parent / "requests_for_golden.py").GOLDEN


@pytest.fixture(scope="module")
def schema() -> ModuleType:
    if not (SCHEMA / "validate.py").exists():
        pytest.skip("the published qbXML schemas are not beside this checkout")
    return load("qbxml_schema_validate", SCHEMA / "validate.py")


def document(name: str) -> str:
    elements = [build_request_element(model, f"{index}") for index, model in enumerate(GOLDEN[name])]
    new_id = "A1B2C3D4E5F6G7H8I9J0K1" if name.endswith("_add") else None
    return build_message_set(elements, new_message_set_id=new_id)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_request_equals_golden_file(name: str) -> None:
    path = DATA / f"{name}.xml"
    if os.environ.get("QBD_UPDATE_GOLDEN") == "1":
        path.write_text(document(name), encoding="ascii")
    assert path.read_text(encoding="ascii") == document(name)


def test_no_golden_file_without_request() -> None:
    assert {path.stem for path in DATA.glob("*.xml")} == set(GOLDEN)


@pytest.mark.parametrize("version", ["13.0", "16.0"])
@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_golden_file_is_valid(schema: ModuleType, name: str, version: str) -> None:
    data = (DATA / f"{name}.xml").read_bytes().replace(b'qbxml version="13.0"', f'qbxml version="{version}"'.encode())
    assert schema.errors(version, data) == []
    assert schema.edition_errors(data) == []


@pytest.mark.parametrize("version", ["13.0", "16.0"])
def test_status_check_and_clear_are_valid(schema: ModuleType, version: str) -> None:
    check = build_message_set([], version=version, new_message_set_id="A1", old_message_set_id="A1")
    clear = build_message_set([], version=version, old_message_set_id="ClearAllMessageSets")
    assert schema.errors(version, check.encode()) == []
    assert schema.errors(version, clear.encode()) == []
