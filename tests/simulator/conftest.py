import importlib.util
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest
from lxml import etree

from simulator.company import CompanyFile
from simulator.sample_company import freight_company
from simulator.session import Session


class Clock:
    """Stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 7, 1, 9, 30, tzinfo=ZoneInfo("America/Los_Angeles"))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **delta: float) -> None:
        self.now += timedelta(**delta)


class Desk:
    """A company file with one session of one application."""

    def __init__(self, company: CompanyFile) -> None:
        self.company = company
        self.session: Session = company.open_session("TMS Export")
        self.answers: list[str] = []

    def reopen(self) -> None:
        self.session.close()
        self.session = self.company.open_session("TMS Export")

    def document(self, body: str, *, version: str = "13.0", on_error: str = "stopOnError", attributes: str = "") -> str:
        return (
            f'<?xml version="1.0" encoding="utf-8"?><?qbxml version="{version}"?>'
            f'<QBXML><QBXMLMsgsRq onError="{on_error}"{attributes}>{body}</QBXMLMsgsRq></QBXML>'
        )

    def send(self, body: str, **how: str) -> etree._Element:
        return self.send_text(self.document(body, **how))

    def send_text(self, text: str) -> etree._Element:
        answer = self.session.process_request(text)
        self.answers.append(answer)
        return etree.fromstring(answer)[0]

    def one(self, body: str, **how: str) -> etree._Element:
        return self.send(body, **how)[0]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def company(clock: Clock) -> CompanyFile:
    return freight_company(clock=clock)


@pytest.fixture
def desk(company: CompanyFile) -> Desk:
    return Desk(company)


def _line(item: str, more: str) -> str:
    return f"<InvoiceLineAdd><ItemRef><FullName>{item}</FullName></ItemRef>{more}</InvoiceLineAdd>"


@pytest.fixture
def invoice_line() -> Callable[[str, str], str]:
    return _line


@pytest.fixture
def invoice() -> Callable[..., str]:
    def build(
        number: str | None = "L100001",
        lines: str | None = None,
        customer: str = "Cafe Rio Foods",
        before: str = "",
        between: str = "",
        after: str = "",
        request_id: str = "r1",
    ) -> str:
        ref = "" if number is None else f"<RefNumber>{number}</RefNumber>"
        lines = _line("Linehaul", "<Quantity>1</Quantity><Rate>1850.00</Rate>") if lines is None else lines
        return (
            f'<InvoiceAddRq requestID="{request_id}"><InvoiceAdd>'
            f"<CustomerRef><FullName>{customer}</FullName></CustomerRef>{before}<TxnDate>2026-06-30</TxnDate>"
            f"{ref}{between}{after}{lines}</InvoiceAdd></InvoiceAddRq>"
        )

    return build


EXPENSE = (
    "<ExpenseLineAdd><AccountRef><FullName>Purchased Transportation</FullName></AccountRef>"
    "<Amount>1500.00</Amount></ExpenseLineAdd>"
)


@pytest.fixture
def bill() -> Callable[..., str]:
    def build(
        number: str = "CARR-INV-1", lines: str = EXPENSE, vendor: str = "Acme Carrier LLC", head: str = ""
    ) -> str:
        return (
            f'<BillAddRq requestID="b1"><BillAdd><VendorRef><FullName>{vendor}</FullName></VendorRef>'
            f"<TxnDate>2026-06-30</TxnDate><RefNumber>{number}</RefNumber>{head}{lines}</BillAdd></BillAddRq>"
        )

    return build


@pytest.fixture(scope="session")
def validate() -> ModuleType:
    """The schema checker kept beside the project; its schemas cannot be part of it."""
    path = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "schema" / "validate.py"
    if not path.exists():
        pytest.skip("Intuit's qbXML schemas are not on this machine")
    spec = importlib.util.spec_from_file_location("qbxml_validate", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
