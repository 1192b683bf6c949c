"""Suggestions: the likely entry first, only entries that fit, the reason said, and fast."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.charge_words import meaning_of
from mapping.known_lists import KnownLists
from mapping.lists import ListItem, ListKind
from mapping.names import same_words, words_of
from mapping.roles import Role
from mapping.suggestions import SCORE_MIN, Choice, Suggestion, suggest
from mapping.unmapped import Side, Unmapped
from simulator.sample_company import freight_company
from tests.support.company_files import lists_of

COMPANY = freight_company(clock=lambda: datetime(2026, 11, 23, tzinfo=UTC))
LISTS = lists_of(COMPANY)
SECTIONS = {Role.CUSTOMER: "customers", Role.VENDOR: "carriers", Role.TERMS: "terms", Role.CLASS: "classes"}


def missing(role: Role, name: str, key: str | None = None) -> Unmapped:
    side: Side | None = None
    if role in (Role.INVOICE_ITEM, Role.BILL_ITEM):
        side = "invoice" if role is Role.INVOICE_ITEM else "carrier_bill"
    section = SECTIONS.get(role, "charges")
    return Unmapped(section=section, key=key or name, side=side, role=role, name=name, uses=1)


def ask(role: Role, name: str, lists: KnownLists = LISTS, history: list[Choice] | None = None) -> Suggestion:
    (suggestion,) = suggest([missing(role, name)], lists, history or [])
    return suggestion


BEST = [
    (Role.CUSTOMER, "Cafe Rio Foods, Inc.", "Cafe Rio Foods", 93),
    (Role.CUSTOMER, "CAFÉ RIO FOODS", "Cafe Rio Foods", 97),
    (Role.CUSTOMER, "cafe rio foods", "Cafe Rio Foods", 100),
    (Role.CUSTOMER, "Mueller und Soehne", "Müller & Söhne GmbH", SCORE_MIN),
    (Role.CUSTOMER, "Muller & Sohne", "Müller & Söhne GmbH", 93),
    (Role.CUSTOMER, "Load 100777", "Ironwood Building Supply:Load 100777", 85),
    (Role.CUSTOMER, "Blue Harbour Sea Food LLC", "Blue Harbor Seafood", 80),
    (Role.VENDOR, "ACME CARRIER, L.L.C.", "Acme Carrier LLC", 97),
    (Role.VENDOR, "Sagebrush Trkg Inc", "Sagebrush Trucking", 93),
    (Role.VENDOR, "Two Rivers Transportation Co", "Two Rivers Transport", 93),
    (Role.VENDOR, "Haulers, Great Basin", "Great Basin Haulers", 97),
    (Role.VENDOR, "Northlne Express", "Northline Express", 85),
    (Role.TERMS, "NET30", "Net 30", 97),
    (Role.TERMS, "net 45 days", "Net 45", 60),
    (Role.CLASS, "brokerage", "Brokerage", 100),
    (Role.INVOICE_ITEM, "LINEHAUL", "Linehaul", 100),
    (Role.INVOICE_ITEM, "LHL", "Linehaul", 94),
    (Role.INVOICE_ITEM, "FSC", "Fuel Surcharge", 94),
    (Role.INVOICE_ITEM, "FUEL", "Fuel Surcharge", 94),
    (Role.INVOICE_ITEM, "DET", "Detention", 94),
    (Role.INVOICE_ITEM, "LMP", "Lumper", 94),
    (Role.INVOICE_ITEM, "truck ordered not used", "TONU", 94),
    (Role.INVOICE_ITEM, "STOPOFF", "Stop Charge", 94),
    (Role.BILL_ITEM, "DETENTION", "Carrier Detention", 85),
    (Role.BILL_ITEM, "LINEHAUL", "Purchased Transportation", 90),
    (Role.BILL_ITEM, "LUMPER", "Lumper Expense", 85),
    (Role.BILL_ITEM, "FUEL", "Fuel Surcharge Expense", 85),
]


@pytest.mark.parametrize(("role", "name", "best", "score"), BEST, ids=str)
def test_the_best_candidate(role: Role, name: str, best: str, score: int) -> None:
    candidates = ask(role, name).candidates
    # Where an item and an account are equally likely, either may stand first.
    assert best in [found.full_name for found in candidates if found.score == candidates[0].score], candidates
    assert candidates[0].score >= score
    assert all(found.reason.endswith(".") for found in candidates)
    assert [found.score for found in candidates] == sorted((found.score for found in candidates), reverse=True)


@pytest.mark.parametrize(
    ("role", "name", "never"),
    [
        (Role.CUSTOMER, "Closed Door Furniture", "Closed Door Furniture"),  # inactive
        (Role.CUSTOMER, "Acme Carrier LLC", "Acme Carrier LLC"),  # a vendor
        (Role.BILL_ITEM, "LINEHAUL", "Linehaul"),  # income only
        (Role.INVOICE_ITEM, "Reefer fuel", "Reefer Fuel"),  # inactive
        (Role.INVOICE_ITEM, "Out of State", "Out of State"),  # a tax
        (Role.TERMS, "Net 60", "Net 30"),  # alike in all but what matters
        (Role.TERMS, "Net 90", "Net 90"),  # inactive
        (Role.CUSTOMER, "Zanzibar Holdings", "Blue Harbor Seafood"),
    ],
)
def test_never_suggested(role: Role, name: str, never: str) -> None:
    assert never not in [found.full_name for found in ask(role, name).candidates]


def test_what_this_company_chose_before_goes_first() -> None:
    own = Choice(section="charges", key="SPECIAL", name="SPECIAL", full_name="Accessorial", is_own=True)
    (best, *_) = ask(Role.INVOICE_ITEM, "Special", history=[own]).candidates
    assert (best.full_name, best.score, best.reason) == (
        "Accessorial",
        96,
        "SPECIAL is linked to it here already.",
    )
    others = Choice(section="charges", key="Special", name="Special", full_name="accessorial", is_own=False)
    (best, *_) = ask(Role.INVOICE_ITEM, "Special", history=[others]).candidates
    assert (best.full_name, best.score) == ("Accessorial", 94)
    foreign = Choice(section="charges", key="Special", name="Special", full_name="Not Here", is_own=False)
    assert ask(Role.INVOICE_ITEM, "Special", history=[foreign]).candidates == []


@given(st.text(max_size=60), st.sampled_from([Role.CUSTOMER, Role.VENDOR, Role.TERMS, Role.INVOICE_ITEM]))
def test_any_name_gets_an_answer(name: str, role: Role) -> None:
    for found in ask(role, name or "x").candidates:
        assert SCORE_MIN <= found.score <= 100


@given(st.lists(st.sampled_from(["Acme", "Blue", "Harbor", "Foods"]), min_size=1, max_size=4), st.randoms())
def test_order_case_and_legal_form_do_not_matter(words: list[str], order: random.Random) -> None:
    shuffled = list(words)
    order.shuffle(shuffled)
    assert same_words(" ".join(words)) == same_words(", ".join(shuffled).upper() + " Inc.")


def test_a_name_of_nothing_but_legal_words_is_still_a_name() -> None:
    assert words_of("The Company") == ("the", "company")
    assert words_of("L.L.C. & Co.") == ("llc", "co")


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("FSC", "fuel surcharge"),
        ("Fuel-Surcharge", "fuel surcharge"),
        ("DET", "detention"),
        ("TONU", "truck ordered not used"),
        ("line haul", "linehaul"),
        ("LAYOVER", "layover"),
        ("X99", None),
    ],
)
def test_charge_codes(code: str, meaning: str | None) -> None:
    assert meaning_of(code) == meaning


WORDS = (
    "Blue Red Great Silver Golden North South East West High Low Iron Copper Stone River Lake",
    "Harbor Ridge Basin Star Line Point Creek Bridge Gate Field Wood Water Land Peak",
    "Foods Supply Trucking Transport Logistics Paper Steel Furniture Produce Dairy Lumber",
)


@pytest.mark.long
def test_two_hundred_names_against_fifty_thousand_customers() -> None:
    """Misspelt, reordered, abbreviated: nearly all are found, in seconds."""
    chance = random.Random(7)

    def name() -> str:
        own = "".join(chance.choice("bcdfghklmnprst") + chance.choice("aeiou") for _ in range(chance.randint(2, 4)))
        first, second, third = (chance.choice(words.split()) for words in WORDS)
        parts = (first, own.title(), second, third)
        return " ".join(parts) + chance.choice((" Inc", " LLC", ""))

    names = list(dict.fromkeys(name() for _ in range(52_000)))[:50_000]
    assert len(names) == 50_000
    lists = KnownLists(
        ListItem(kind=ListKind.CUSTOMER, list_id=f"8{i:07X}-1", full_name=text) for i, text in enumerate(names)
    )
    picks = chance.sample(range(50_000), 200)
    changes = (
        str.upper,
        lambda text: text.removesuffix(" Inc").removesuffix(" LLC") + ", Corp.",
        lambda text: ", ".join(reversed(text.split())),
        lambda text: text[:-5] + text[-4:],
        lambda text: text.replace("Trucking", "Trkg").replace("Transport", "Transportation"),
    )
    wanted = [missing(Role.CUSTOMER, changes[n % 5](names[pick]), f"c{pick}") for n, pick in enumerate(picks)]
    before = time.perf_counter()
    found = suggest(wanted, lists)
    took = time.perf_counter() - before
    right = sum(
        bool(one.candidates) and one.candidates[0].full_name == names[pick]
        for one, pick in zip(found, picks, strict=True)
    )
    assert right >= 190, right
    # About 2 s on two cores shared with other work; a look at every entry for each name would take minutes.
    assert took < 40, took
