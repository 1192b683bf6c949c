"""Each rule about the company file and its books has a row: pure, without a database."""

from __future__ import annotations

import pytest

from qbwc_bridge.books_check import (
    IN_A_ROW,
    Books,
    Fate,
    Known,
    Scan,
    Written,
    judge_books,
    judge_chunk,
    keep_books,
    read_books,
    with_written,
)
from qbwc_bridge.guard import (
    SPELLINGS_MAX,
    Binding,
    Code,
    OpenFile,
    is_same_place,
    judge_file,
    remember_spelling,
    resembles,
)
from qbxml.envelope import parse_response

NAME, PATH, COPY = "Ridgeline Freight LLC", "C:\\QuickBooks\\Ridgeline.qbw", "D:\\Archive\\Ridgeline.qbw"


def new(**fields: object) -> Binding:
    values: dict[str, object] = {"file_id": "{ID}", "company_name": None, "company_file": None, **fields}
    return Binding(**values)  # type: ignore[arg-type]


def bound(**fields: object) -> Binding:
    return new(**{"company_name": NAME, "company_file": PATH, **fields})


def seen(**fields: object) -> OpenFile:
    values: dict[str, object] = {"file_id": "{id}", "company_name": NAME, "company_file": PATH, **fields}
    return OpenFile(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("binding", "file", "allowed", "code", "asks", "is_elsewhere"),
    [
        (new(), seen(), True, None, False, False),
        (new(confirms_first=True), seen(), True, Code.UNCONFIRMED, True, False),
        (new(confirms_first=True, expected_file="c:/quickbooks/ridgeline.QBW"), seen(), True, None, False, False),
        (new(expected_file="D:\\other.qbw"), seen(), False, Code.WRONG, False, False),
        (new(confirms_first=True, refused=(NAME, PATH)), seen(), False, Code.WRONG, False, False),
        (new(confirms_first=True, refused=(NAME, COPY)), seen(), True, Code.UNCONFIRMED, True, False),
        (new(), seen(file_id=None), False, Code.WRONG, False, False),
        (new(), seen(company_name=None), False, Code.WRONG, False, False),
        (new(confirms_first=True), seen(is_taken=True), False, Code.TAKEN, False, False),
        (new(confirms_first=True, may_move=True), seen(is_taken=True), True, None, False, False),
        (bound(), seen(), True, None, False, False),
        (bound(confirms_first=True), seen(), True, None, False, False),
        (bound(), seen(file_id=None), True, None, False, False),
        (bound(), seen(file_id="{other}"), False, Code.WRONG, False, False),
        (bound(), seen(company_name="Renamed Freight"), True, None, False, False),
        (bound(), seen(company_name="Other", company_file=COPY), False, Code.WRONG, False, False),
        (bound(), seen(company_file=COPY), False, Code.MOVED, True, False),
        (bound(spellings=(COPY,)), seen(company_file=COPY), True, None, False, False),
        (bound(has_written=True), seen(company_file=COPY), True, None, False, True),
        (bound(has_written=True, spellings=(COPY,)), seen(company_file=COPY), True, None, False, True),
        (bound(has_written=True, refused=(NAME, COPY)), seen(company_file=COPY), False, Code.WRONG, False, False),
        (bound(has_written=True), seen(company_file=COPY, file_id=None), False, Code.WRONG, False, False),
        (bound(has_written=True, may_move=True), seen(company_file=COPY), True, None, False, False),
        (bound(may_move=True), seen(), True, None, False, False),
        (bound(may_move=True), seen(file_id=None, company_file=COPY), False, Code.WRONG, False, False),
    ],
)
def test_what_may_be_done_in_a_file(
    binding: Binding, file: OpenFile, allowed: bool, code: Code | None, asks: bool, is_elsewhere: bool
) -> None:
    judged = judge_file(binding, file)
    assert (judged.allowed, judged.code, judged.asks, judged.is_elsewhere) == (allowed, code, asks, is_elsewhere)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (PATH, PATH.upper(), True),
        (PATH, PATH.replace("\\", "/"), True),
        (PATH, PATH.replace("\\", "\\\\"), True),
        ("\\\\server\\books\\a.qbw", "//SERVER/books/a.qbw", True),
        ("\\\\server\\books\\a.qbw", "\\server\\books\\a.qbw", False),
        (PATH, COPY, False),
        ("", "", False),
    ],
)
def test_when_two_paths_are_one_place(one: str, other: str, same: bool) -> None:
    assert is_same_place(one, other) is same


@pytest.mark.parametrize(
    ("company", "in_file", "alike"),
    [
        ("Acme Logistics LLC", "ACME Logistics, Inc.", True),
        ("Acme", "Acme Trucking of Nevada", True),
        ("Blue Harbor Seafood", "BHS 2026", True),
        ("Müller Freight", "Muller Freight", True),
        ("Acme Brokerage", "Ridgeline Freight LLC", False),
        ("The Co Inc", "The Other Co Inc", False),
        ("", "Acme", False),
    ],
)
def test_when_a_name_in_a_file_resembles_the_companys(company: str, in_file: str, alike: bool) -> None:
    assert resembles(company, in_file) is alike


def test_spellings_are_remembered_once_and_not_for_ever() -> None:
    known = remember_spelling(remember_spelling((), PATH), PATH.upper())
    assert known == (PATH.upper(),)
    for number in range(30):
        known = remember_spelling(known, f"D:\\{number}.qbw")
    assert (len(known), known[-1]) == (SPELLINGS_MAX, "D:\\29.qbw")


INVOICE = Written(kind="invoice", txn_id="C5-100", edit_sequence="100")
BILL = Written(kind="carrier_bill", txn_id="C9-200", edit_sequence="200")
GONE = Written(kind="invoice", txn_id="D1-300", edit_sequence="300")


def answer(
    *, invoices: tuple[tuple[str, str], ...] | None, bills: tuple[tuple[str, str], ...] = (("C9-200", "200"),),
    restored: str | None = "", status: str = "0",
) -> str:  # fmt: skip
    def rows(kind: str, found: tuple[tuple[str, str], ...]) -> str:
        return "".join(
            f"<{kind}Ret><TxnID>{txn}</TxnID><EditSequence>{edit}</EditSequence></{kind}Ret>" for txn, edit in found
        )

    fine = 'statusCode="0" statusSeverity="Info" statusMessage=""'
    activity = f"<CompanyActivityRet><LastRestoreTime>{restored}</LastRestoreTime></CompanyActivityRet>"
    parts = [
        f'<CompanyActivityQueryRs requestID="check.activity.1" {fine}>{activity if restored is not None else ""}'
        "</CompanyActivityQueryRs>",
        f'<BillQueryRs requestID="check.bills.1" {fine}>{rows("Bill", bills)}</BillQueryRs>',
    ]
    if invoices is not None:
        severity = "Error" if int(status) >= 1000 else "Warn"
        told = f'statusCode="{status}" statusSeverity="{severity}" statusMessage=""'
        parts.append(
            f'<InvoiceQueryRs requestID="check.invoices.1" {told}>{rows("Invoice", invoices)}</InvoiceQueryRs>'
        )
    return f"<QBXML><QBXMLMsgsRs>{''.join(parts)}</QBXMLMsgsRs></QBXML>"


ALL = (("C5-100", "100"),)
R1 = "2026-11-20T10:00:00-06:00"


@pytest.mark.parametrize(
    ("text", "restored", "is_elsewhere", "fate"),
    [
        (answer(invoices=ALL), None, False, Fate.SAME),
        (answer(invoices=(("C5-100", "150"),)), None, False, Fate.SAME),  # somebody's edit
        (answer(invoices=(("C5-100", "odd"),)), None, False, Fate.SAME),
        (answer(invoices=(("C5-100", "99"),)), None, False, Fate.READ_ALL),  # an older state
        (answer(invoices=(), status="500"), None, False, Fate.READ_ALL),
        (answer(invoices=(), status="1"), None, False, Fate.READ_ALL),
        (answer(invoices=ALL, bills=()), None, False, Fate.READ_ALL),
        (answer(invoices=ALL, restored=R1), None, False, Fate.READ_ALL),
        (answer(invoices=ALL, restored=R1), R1, False, Fate.SAME),
        (answer(invoices=ALL), R1, False, Fate.READ_ALL),  # another state of the file, never restored
        (answer(invoices=(*ALL, ("D1-300", "300"))), None, False, Fate.READ_ALL),  # what was missing is there again
        (answer(invoices=ALL), None, True, Fate.MOVED),
        (answer(invoices=(), status="500"), None, True, Fate.HOLD),
        (answer(invoices=(("C5-100", "99"),)), None, True, Fate.HOLD),
        (answer(invoices=ALL, restored=R1), None, True, Fate.MOVED),
        (answer(invoices=None), None, False, Fate.NOT_TOLD),
        (answer(invoices=(), status="3120"), None, True, Fate.NOT_TOLD),
        (answer(invoices=ALL, restored=None), None, False, Fate.NOT_TOLD),
    ],
)
def test_what_the_books_say(text: str, restored: str | None, is_elsewhere: bool, fate: Fate) -> None:
    books = Books(newest=(INVOICE, BILL), gone=(GONE,))
    judged = judge_books(books, parse_response(text), turn=1, restored=restored, is_elsewhere=is_elsewhere)
    assert judged.fate is fate


def test_without_anything_of_ours_another_place_proves_nothing() -> None:
    books = Books(newest=(), gone=(GONE,))
    text = answer(invoices=(), status="1")
    judged = judge_books(books, parse_response(text), turn=1, restored=None, is_elsewhere=True)
    assert judged.fate is Fate.HOLD
    assert judge_books(books, None, turn=1, restored=None, is_elsewhere=False).fate is Fate.NOT_TOLD


def known(number: int, *, is_missing: bool = False, is_left: bool = False) -> Known:
    written = Written(kind="invoice", txn_id=f"T-{number}")
    return Known(id=number, number=f"INV-{number}", written=written, is_missing=is_missing, is_left=is_left)


def test_a_reading_marks_what_is_missing_and_forgives_what_is_there_again() -> None:
    asked = [known(1), known(2), known(3, is_missing=True), known(4, is_missing=True), known(5, is_left=True)]
    read = judge_chunk(Scan(why="", since=""), asked, {"T-1": None, "T-3": None}, is_last=False)
    assert (read.missing, read.found, read.is_over) == ((2,), (3,), False)
    assert (read.scan.in_a_row, read.scan.missing, read.scan.found, read.scan.named) == (0, 1, 1, ("INV-2",))


def test_a_reading_ends_once_enough_older_ones_in_a_row_are_there() -> None:
    there = {f"T-{number}": None for number in range(IN_A_ROW)}
    asked = [known(number) for number in range(IN_A_ROW)]
    assert judge_chunk(Scan(why="", since=""), asked, there, is_last=False).is_over
    assert not judge_chunk(Scan(why="", since=""), asked[1:], there, is_last=False).is_over
    last_missing = judge_chunk(Scan(why="", since="", in_a_row=50), [*asked[:100], known(999)], there, is_last=False)
    assert last_missing.scan.in_a_row == 0
    assert judge_chunk(Scan(why="", since=""), [], {}, is_last=True).is_over


def test_what_is_known_of_the_books_survives_its_row() -> None:
    scan = Scan(why="w", since="s", before=("2026-11-23T10:00:00+00:00", 7), asked=(1, 2), named=("A",))
    books = Books(newest=(INVOICE,), gone=(BILL,), spellings=(PATH,), scan=scan)
    assert read_books(keep_books(books)) == books
    assert read_books(None) == Books()
    assert [one.txn_id for one in with_written(books, BILL).newest or ()] == ["C9-200", "C5-100"]
