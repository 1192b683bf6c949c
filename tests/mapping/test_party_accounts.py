"""The A/R or A/P account is one of the party's currency, or QuickBooks' refusal is foreseen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import etree

from mapping.dispatch import check_document, map_document
from mapping.issues import Issue
from mapping.result import Mapped
from mapping.rules import CompanyRules, rules_for
from qbxml.envelope import build_message_set, build_request_element
from simulator.company import CompanyFile
from simulator.records import Account
from simulator.sample_company import freight_company
from tests.support.company_files import facts_of, lists_of

from .test_foresight import GOOD, GUID, a_document

CAD, EUR = "Canadian Dollar", "Euro"
WORDS = {"invoice": ("Accounts Receivable", "ar_account"), "carrier_bill": ("Accounts Payable", "ap_account")}


@pytest.fixture(params=[True, False], ids=["last-account", "own-account"])
def book(request: pytest.FixtureRequest) -> CompanyFile:
    """A file with two currencies, in which the newest documents were in the home currency."""
    book = freight_company(clock=lambda: datetime(2026, 11, 23, 10, tzinfo=UTC))
    book.switches.account_of_last_document = request.param
    book.preferences.multi_currency = True
    book.add_customer("Maple Foods", currency=CAD, address={"City": "Calgary"})
    book.add_vendor("Maple Haulers", currency=CAD, address={"City": "Calgary"})
    for kind in WORDS:
        mapped = map_document(a_document(kind, {}), rules_of(book, {}), taken=(), external_guid=GUID)
        assert isinstance(mapped, Mapped)
        assert post(book, mapped) == ""
    return book


def rules_of(book: CompanyFile, mapping: dict[str, Any]) -> CompanyRules:
    rules = rules_for(GOOD | mapping, country="US", ref_number_rule="keep_end", facts=facts_of(book))
    assert isinstance(rules, CompanyRules)
    return rules


def post(book: CompanyFile, mapped: Mapped) -> str:
    """Send it; gives QuickBooks' refusal, empty when there is none."""
    text = build_message_set([build_request_element(mapped.transaction, "R1")])
    answer = etree.fromstring(book.open_session("TMS").process_request(text).encode())[0][0]
    return "" if answer.get("statusCode") == "0" else f"{answer.get('statusCode')} {answer.get('statusMessage')}"


def checked(book: CompanyFile, kind: str, mapping: dict[str, Any]) -> Mapped | list[Issue]:
    document = a_document(kind, {"number": "2", "currency": "CAD"})
    return check_document(document, rules_of(book, mapping), lists_of(book), taken=(), external_guid=GUID)


def unchecked(book: CompanyFile, kind: str, mapping: dict[str, Any]) -> str:
    document = a_document(kind, {"number": "2", "currency": "CAD"})
    mapped = map_document(document, rules_of(book, mapping), taken=(), external_guid=GUID)
    assert isinstance(mapped, Mapped)
    return post(book, mapped)


def of_party(kind: str, default: str | None, **more: Any) -> dict[str, Any]:
    defaults = {} if default is None else {WORDS[kind][1]: {"full_name": default}}
    return {
        "customers": {"cus_88": {"full_name": "Maple Foods"}, "job": {"full_name": "Ironwood Building Supply"}},
        "carriers": {"car_7": {"full_name": "Maple Haulers"}},
        "defaults": {kind: defaults},
        **more,
    }


@pytest.mark.parametrize("kind", WORDS)
@pytest.mark.parametrize(
    ("others", "default", "taken", "codes"),
    [
        ([CAD], "{}", "{} 1", []),
        ([CAD], "{} 1", "{} 1", []),
        ([CAD], None, "{} 1", []),
        ([EUR, CAD], "{} 1", "{} 2", []),
        ([CAD, CAD], "{} 2", "{} 2", []),
        ([], "{}", None, ["account_currency_missing"]),
        ([], None, None, ["account_currency_missing"]),
        ([EUR], "{} 1", None, ["account_currency_missing"]),
        ([CAD, CAD], "{}", None, ["account_currency_unfit"]),
    ],
)
def test_the_account_is_in_the_partys_currency(
    book: CompanyFile, kind: str, others: list[str], default: str | None, taken: str | None, codes: list[str]
) -> None:
    """The default where it fits, else the only one that does; otherwise it is said before QuickBooks refuses."""
    words, field = WORDS[kind]
    for number, currency in enumerate(others, start=1):
        book.add_account(f"{words} {number}", words.replace(" ", ""), currency=currency)
    chosen = None if default is None else default.format(words)
    found = checked(book, kind, of_party(kind, chosen))
    if taken is None:
        assert isinstance(found, list)
        assert [issue.code for issue in found if issue.is_error] == codes
        refusal = unchecked(book, kind, of_party(kind, chosen))
        assert refusal.startswith(("3140", "3270"))
        assert ("currency of the account" in refusal) == refusal.startswith("3140")
        return
    assert isinstance(found, Mapped), found
    assert post(book, found) == ""
    account = book.entry(book.ledger[-1].account)
    assert isinstance(account, Account)
    assert (account.full_name, account.currency) == (taken.format(words), CAD)
    is_replaced = chosen is not None and chosen != account.full_name
    changes = [(one.path, one.before, one.after) for one in found.changes]
    assert changes == ([(f"defaults.{kind}.{field}", chosen, account.full_name)] if is_replaced else [])


@pytest.mark.parametrize("kind", WORDS)
def test_several_accounts_and_no_choice_are_a_warning(book: CompanyFile, kind: str) -> None:
    """QuickBooks may take a right one: it depends on what was entered last."""
    words, _ = WORDS[kind]
    for number in (1, 2):
        book.add_account(f"{words} {number}", words.replace(" ", ""), currency=CAD)
    found = checked(book, kind, of_party(kind, None))
    assert isinstance(found, Mapped), found
    assert "account_not_chosen" in [issue.code for issue in found.warnings]
    refusal = post(book, found)
    assert refusal.startswith("3140") == book.switches.account_of_last_document


@pytest.mark.parametrize(("currency", "codes"), [(EUR, ["account_currency_unfit"]), (CAD, []), (None, [])])
def test_the_account_of_a_bill_line(book: CompanyFile, currency: str | None, codes: list[str]) -> None:
    """The home currency or that of the bill."""
    book.add_account("Accounts Payable CAD", "AccountsPayable", currency=CAD)
    book.add_account("Clearing", "OtherCurrentLiability", currency=currency)
    charges = {"LINEHAUL": {"carrier_bill": {"account": {"full_name": "Clearing"}}}}
    mapping = of_party("carrier_bill", "Accounts Payable CAD", charges=charges)
    found = checked(book, "carrier_bill", mapping)
    if codes:
        assert isinstance(found, list)
        assert [issue.code for issue in found if issue.is_error] == codes
        book.switches.refuse_billable_mark_on_other_accounts = False
        named = 'There is an invalid reference to QuickBooks Account "Clearing"'
        assert unchecked(book, "carrier_bill", mapping).startswith(f"3140 {named}")
    else:
        assert isinstance(found, Mapped), found
        assert post(book, found) == ""
