"""How many of the refusals that QuickBooks can give to a mapped document are foreseen by pre-flight."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from mapping.dispatch import check_document, map_document
from mapping.documents import CarrierBill, Invoice, parse_document
from mapping.result import Mapped, external_guid_for
from mapping.rules import CompanyMapping, CompanyRules, parse_mapping
from qbxml.envelope import build_message_set, build_request_element
from simulator.company import CompanyFile
from simulator.sample_company import freight_company
from tests.support.company_files import lists_of

from .refusals import Situation, situations

SITUATIONS = situations()
GUID = external_guid_for("acme", "invoice", "1", "run")
CANNOT_HAPPEN = {3150, 3310}  # a missing element, a bill without lines: such a document is not mapped
FORESEEN, ALL = 75, 80
GOOD: dict[str, Any] = {
    "charges": {
        "LINEHAUL": {
            "invoice": {"item": {"full_name": "Linehaul"}},
            "carrier_bill": {"account": {"full_name": "Purchased Transportation"}},
        }
    },
    "customers": {"cus_88": {"full_name": "Cafe Rio Foods"}, "job": {"full_name": "Ironwood Building Supply"}},
    "carriers": {"car_7": {"full_name": "Acme Carrier LLC"}},
    "terms": {"T": {"full_name": "Net 30"}},
    "classes": {"K": {"full_name": "Brokerage"}},
}


def a_document(kind: str, changes: dict[str, Any]) -> Invoice | CarrierBill:
    line: dict[str, Any] = {"charge": "LINEHAUL", "amount": "1850.00"}
    data: dict[str, Any] = {
        "kind": kind,
        "id": "1",
        "number": "1",
        "date": "2026-11-20",
        "total": "1850.00",
        "terms": "T",
    }
    if kind == "invoice":
        data["customer"] = {"id": "cus_88", "name": "Cafe Rio"}
    else:
        data["carrier"] = {"id": "car_7", "name": "Acme"}
        line["customer"] = {"id": "job", "name": "Ironwood"}
    parsed = parse_document({**data, "lines": [line], **changes})
    assert not isinstance(parsed, list), parsed
    return parsed


class Case:
    """One situation, built step by step."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.company: CompanyFile = freight_company(clock=lambda: datetime(2026, 11, 23, 10, tzinfo=UTC))
        self.lists = lists_of(self.company)
        parsed = parse_mapping({**GOOD, **situation.mapping})
        assert isinstance(parsed, CompanyMapping), parsed
        self.rules = CompanyRules(mapping=parsed)
        self.changes = {"class": "K", **(situation.document or {})}

    def happen(self) -> None:
        """Let it happen in the company file, and let a sync see it unless it comes too late."""
        if self.situation.company is not None:
            self.situation.company(self.company)
        if not self.situation.late:
            self.lists = lists_of(self.company)

    def post(self) -> int:
        """Send the document as it is mapped without a look at the lists; gives QuickBooks' status."""
        positive = json.loads(json.dumps(self.changes).replace("-5.00", "5.00"))
        document = a_document(self.situation.kind, positive)
        mapped = map_document(document, self.rules, taken=(), external_guid=GUID)
        assert isinstance(mapped, Mapped), mapped
        return self.send(mapped)

    def post_checked(self) -> int:
        """Send it as an export does, with what the file has no place for left out; gives QuickBooks' status."""
        document = a_document(self.situation.kind, self.changes)
        mapped = check_document(document, self.rules, self.lists, taken=(), external_guid=GUID)
        assert isinstance(mapped, Mapped), mapped
        assert mapped.changes or "not to bill" in self.situation.name
        return self.send(mapped)

    def send(self, mapped: Mapped) -> int:
        """Send a transaction; gives QuickBooks' status."""
        request = build_request_element(mapped.transaction, "R1")
        if "-5.00" in json.dumps(self.changes):
            # The mapping itself refuses a negative total; QuickBooks is asked what it would have said.
            request = request.replace(">5.00<", ">-5.00<")
        answer = self.company.open_session("TMS").process_request(build_message_set([request]))
        return int(etree.fromstring(answer.encode())[0][0].get("statusCode", "-1"))

    def foreseen(self) -> list[str]:
        """The codes of the errors that are known before anything is sent."""
        document = a_document(self.situation.kind, self.changes)
        checked = check_document(document, self.rules, self.lists, taken=(), external_guid=GUID)
        return [issue.code for issue in checked if issue.is_error] if isinstance(checked, list) else []


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_quickbooks_refuses_it_and_preflight_says_so_first(situation: Situation) -> None:
    """Without the situation both have nothing against the document; with it QuickBooks refuses, and we knew."""
    case = Case(situation)
    if situation.company is not None:
        assert case.foreseen() == []
        assert case.post() == 0
    case.happen()
    foreseen = case.foreseen()
    assert case.post() == situation.code
    assert bool(foreseen) == (situation.unforeseen is None and not situation.avoided), foreseen
    if situation.avoided:
        assert case.post_checked() == 0


def test_the_share_that_is_foreseen(capsys: pytest.CaptureFixture[str]) -> None:
    """All but what no list or preference tells; the rest is named with its reason."""
    unforeseen = [situation for situation in SITUATIONS if situation.unforeseen is not None]
    foreseen = 0
    for situation in SITUATIONS:
        case = Case(situation)
        case.happen()
        foreseen += bool(case.foreseen()) or situation.avoided
    with capsys.disabled():
        print(f"\npre-flight foresees {foreseen} of {len(SITUATIONS)} refusals; not:")  # noqa: T201
        for situation in unforeseen:
            print(f"  {situation.code} {situation.name}: {situation.unforeseen}")  # noqa: T201
    assert (foreseen, len(SITUATIONS)) == (FORESEEN, ALL)
    assert len({situation.name for situation in SITUATIONS}) == ALL


def test_no_kind_of_refusal_is_left_out() -> None:
    """Every status that the simulator can give while it posts a transaction is in the table, or cannot happen."""
    simulator = Path(__file__).resolve().parents[2] / "simulator"
    text = "".join((simulator / name).read_text() for name in ("posting.py", "references.py", "errors.py"))
    raised = {int(code) for code in re.findall(r"RequestProblem\(\s*([0-9]+)", text)}
    assert raised - CANNOT_HAPPEN <= {situation.code for situation in SITUATIONS}
    assert raised >= CANNOT_HAPPEN
