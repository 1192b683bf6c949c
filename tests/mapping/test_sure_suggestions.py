"""What "Accept all" may link without anybody looking: never another firm, another load or other terms."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mapping.known_lists import KnownLists
from mapping.lists import ListItem, ListKind
from mapping.names import legal_forms, numbers_of, words_of
from mapping.roles import Role
from mapping.suggestions import SURE, Candidate, Choice, suggest
from mapping.unmapped import Unmapped
from tests.mapping.test_suggestions import missing

KINDS = {
    Role.CUSTOMER: ListKind.CUSTOMER,
    Role.VENDOR: ListKind.VENDOR,
    Role.TERMS: ListKind.TERMS,
    Role.CLASS: ListKind.CLASS,
}
LEAST_ON_THE_PAGE = 70
"""The lowest score that the mapping page offers to accept from."""


def best(
    role: Role, name: str, *entries: str, inactive: str = "", history: list[Choice] | None = None
) -> Candidate | None:
    """The first candidate among these entries."""
    items = [
        ListItem(kind=KINDS[role], list_id=f"8000000{number}-1", full_name=entry, is_active=entry != inactive)
        for number, entry in enumerate(filter(None, (*entries, inactive)))
    ]
    wanted: Unmapped = missing(role, name)
    (suggestion,) = suggest([wanted], KnownLists(items), history or [])
    return suggestion.candidates[0] if suggestion.candidates else None


def score(role: Role, name: str, *entries: str, inactive: str = "") -> int:
    found = best(role, name, *entries, inactive=inactive)
    return found.score if found is not None else 0


SURE_ONES = [
    ("the same", "Acme Foods", "Acme Foods"),
    ("case", "ACME FOODS", "Acme Foods"),
    ("accents", "Cafe Rio Foods", "Café Rio Foods"),
    ("punctuation", "O'Brien & Sons, Inc.", "OBrien and Sons Inc"),
    ("dotted letters", "A.B. Freight L.L.C.", "AB Freight LLC"),
    ("one legal form, two spellings", "Acme Corporation", "Acme Corp."),
    ("one legal form, two spellings", "Acme Limited", "Acme Ltd"),
    ("one legal form, two spellings", "Acme Company", "Acme Co"),
    ("a Co that is an Inc", "Acme Trucking Co Inc", "Acme Trucking Inc"),
    ("the form on one side only, nobody else of the name", "Acme Foods", "Acme Foods LLC"),
    ("the form on one side only, nobody else of the name", "Acme Foods GmbH", "Acme Foods"),
    ("The", "The Home Depot", "Home Depot"),
    ("turned around at a comma", "Haulers, Great Basin", "Great Basin Haulers"),
    ("short forms of the trade", "Sagebrush Trkg", "Sagebrush Trucking"),
    ("the same number", "Paper 2", "PAPER 2"),
    ("plus", "A+ Freight", "A Plus Freight"),
    ("other letters", "東京運輸", "東京運輸"),
]


@pytest.mark.parametrize(("rule", "name", "entry"), SURE_ONES, ids=str)
def test_sure(rule: str, name: str, entry: str) -> None:
    """The same firm in another spelling; customers and carriers alike."""
    assert score(Role.CUSTOMER, name, entry, "Zebra Produce") >= SURE, rule
    assert score(Role.VENDOR, name, entry, "Zebra Produce") >= SURE, rule


ANOTHER = [
    ("legal forms", "Müller & Söhne AG", "Müller & Söhne GmbH"),
    *(
        ("legal forms", f"Pinnacle Paper {one}", f"Pinnacle Paper {other}")
        for one, other in (
            ("LLC", "Inc"), ("Inc", "Corp"), ("LP", "LLP"), ("Ltd", "Inc"), ("SA", "SRL"), ("BV", "NV"), ("ULC", "Ltd"),
            ("AG", "SA"), ("Co", "Inc"), ("PLLC", "PC"), ("SARL", "SAS"), ("Pty", "Ltd"),
        )
    ),
    ("a number on one side", "Paper 2", "Paper"),
    ("a number on one side", "Pinnacle Paper", "Pinnacle Paper 2"),
    ("other numbers", "Load 100777", "Load 100778"),
    ("other numbers", "Warehouse 12", "Warehouse 21"),
    ("numbers in another order", "Route 1 Dock 10", "Route 10 Dock 1"),
    ("Roman numbers", "Pinnacle Paper II", "Pinnacle Paper"),
    ("Roman numbers", "Pinnacle Paper II", "Pinnacle Paper III"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "name", "entry"), ANOTHER, ids=str)
def test_another_one_is_below_every_choice_of_the_page(rule: str, name: str, entry: str) -> None:
    """In both directions, for every list that has names."""
    for role in (Role.CUSTOMER, Role.VENDOR, Role.CLASS):
        assert score(role, name, entry) < LEAST_ON_THE_PAGE, rule
        assert score(role, entry, name) < LEAST_ON_THE_PAGE, rule


DOUBTFUL = [
    ("a branch", "Acme Foods Dallas", "Acme Foods"),
    ("a city", "Acme Foods - Reno", "Acme Foods - Dallas"),
    ("a side", "Acme Freight East", "Acme Freight West"),
    ("a side", "North Acme Freight", "Acme Freight"),
    ("one letter", "Martin Transport", "Marten Transport"),
    ("one letter in a long name", "Blue Harbour Seafood Distribution", "Blue Harbor Seafood Distribution"),
    ("two words of the trade", "Acme Industrial Supply", "Acme Industries Supply"),
    ("order without a comma", "Thomas James Trucking", "James Thomas Trucking"),
    ("trading as", "Ridge Holdings Inc dba Fast Freight", "Fast Freight"),
    ("a word twice", "Duran Duran", "Duran"),
    ("a legal form that is a name", "AG Trucking", "Trucking"),
    ("a legal form that is a name", "LP Trucking", "PC Trucking"),
    ("nothing to compare", "---", "***"),
    ("letters that QuickBooks cannot hold", "東京", "大阪"),
    ("letters that QuickBooks cannot hold", "東京 Trading", "大阪 Trading"),
]


@pytest.mark.parametrize(("rule", "name", "entry"), DOUBTFUL, ids=str)
def test_likely_and_not_sure(rule: str, name: str, entry: str) -> None:
    """A person decides."""
    for role in (Role.CUSTOMER, Role.VENDOR):
        assert score(role, name, entry) < SURE, rule
        assert score(role, entry, name) < SURE, rule


def test_two_that_bear_the_name_are_never_sure() -> None:
    """Active or not; only the very same name is."""
    assert score(Role.CUSTOMER, "Acme Foods", "Acme Foods Inc", "Acme Foods LLC") < SURE
    assert score(Role.CUSTOMER, "Acme Foods LLC", "Acme Foods", "Acme Foods Inc") < SURE
    assert score(Role.CUSTOMER, "Acme Foods", "Acme Foods LLC", inactive="Acme Foods Inc") < SURE
    assert score(Role.CUSTOMER, "ACME FOODS", "Acme Foods LLC", inactive="Acme Foods") < SURE
    assert score(Role.CUSTOMER, "Acme Foods", "Acme Foods", "Acme Foods LLC") == 100


def test_a_job_is_not_its_customer() -> None:
    """Somebody's Dallas is not the customer Dallas, and a customer is not one of its loads."""
    assert score(Role.CUSTOMER, "Dallas", "Acme Foods:Dallas") < SURE
    assert score(Role.CUSTOMER, "Acme Foods", "Acme Foods:Load 100777") < SURE
    assert score(Role.CUSTOMER, "Acme Foods: Dallas", "Acme Foods:Dallas") >= SURE


@pytest.mark.parametrize(
    ("code", "entry", "is_sure"),
    [
        ("FSC", "Fuel Surcharge", True),
        ("STOPOFF", "Stop Charge", True),
        ("Fuel Surcharge 2", "Fuel Surcharge", False),
        ("405", "Fuel Surcharge", False),
        ("PERMITS", "Escorts", False),
        ("Detention Loading", "Detention Unloading", False),
    ],
)
def test_charges_by_their_meaning(code: str, entry: str, is_sure: bool) -> None:
    """A short form and the charge itself; not two special words of one group, nor a bare number."""
    item = ListItem(
        kind=ListKind.ITEM,
        list_id="80000001-1",
        full_name=entry,
        type="Service",
        facts={"income_account": "80000002-1", "expense_account": "80000002-1"},
    )
    income = ListItem(kind=ListKind.ACCOUNT, list_id="80000002-1", full_name="Freight Income", type="Income")
    (suggestion,) = suggest([missing(Role.INVOICE_ITEM, code)], KnownLists([item, income]))
    found = suggestion.candidates[0].score if suggestion.candidates else 0
    assert (found >= SURE) == is_sure, suggestion


@pytest.mark.parametrize(
    ("name", "entry"),
    [("Net 30", "Net 10"), ("1% 10 Net 30", "10% 1 Net 30"), ("Net 30", "2% 10 Net 30"), ("Net 30 EOM", "Net 30")],
)
def test_terms_that_are_not_the_same(name: str, entry: str) -> None:
    """Their numbers count, and their order."""
    assert score(Role.TERMS, name, entry) < SURE


def test_what_was_chosen_for_one_firm_is_not_sure_for_another() -> None:
    """The same words, another legal form or number: a person chose for somebody else."""

    def after(name: str) -> Candidate | None:
        own = Choice(section="customers", key="cus_1", name="Müller AG", full_name="Mueller Holding", is_own=True)
        return best(Role.CUSTOMER, name, "Mueller Holding", history=[own])

    again = after("Müller AG")
    assert again is not None
    assert again.score >= SURE
    for other in ("Müller GmbH", "Müller 2 AG"):
        found = after(other)
        assert found is None or found.score < SURE


NAMES = st.sampled_from(["Acme", "Blue", "Harbor", "Foods", "Ridge", "Paper"])
FORMS = st.sampled_from(["Inc", "LLC", "Ltd", "GmbH", "AG", "Corp", "LP", "SA", "BV", "ULC"])
NUMBERS = st.lists(st.integers(0, 999).map(str), max_size=2)


@given(st.lists(NAMES, min_size=1, max_size=4), NUMBERS, NUMBERS, st.none() | FORMS, st.none() | FORMS)
def test_other_numbers_or_forms_are_never_sure(
    words: list[str], ours: list[str], theirs: list[str], form: str | None, other: str | None
) -> None:
    """Whatever else is alike."""
    name = " ".join([*words, *ours, *filter(None, [form])])
    entry = " ".join([*words, *theirs, *filter(None, [other])])
    assume(numbers_of(name) != numbers_of(entry) or (form and other and form != other))
    assert score(Role.CUSTOMER, name, entry) < LEAST_ON_THE_PAGE


@pytest.mark.parametrize(
    ("name", "words", "forms", "numbers"),
    [
        ("Acme Inc", ("acme",), {"inc"}, ()),
        ("Acme Incorporated", ("acme",), {"inc"}, ()),
        ("Acme Trucking Co., Inc.", ("acme", "trucking"), {"inc"}, ()),
        ("Acme Co", ("acme",), {"co"}, ()),
        ("Acme LLC (Reno)", ("acme", "reno"), {"llc"}, ()),
        ("AG Trucking", ("ag", "trucking"), set(), ()),
        ("Sa Foods S.A.", ("sa", "foods"), {"sa"}, ()),
        ("Paper II", ("paper", "ii"), set(), ("2",)),
        ("NET30", ("net", "30"), set(), ("30",)),
        ("The Company", ("the", "company"), set(), ()),
    ],
)
def test_what_a_name_is_made_of(name: str, words: tuple[str, ...], forms: set[str], numbers: tuple[str, ...]) -> None:
    """Words that name it, legal forms, numbers."""
    assert (words_of(name), legal_forms(name), numbers_of(name)) == (words, forms, numbers)
