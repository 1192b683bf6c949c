"""Numbers of documents: within the limit, never twice, always the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.ref_numbers import NumberRefusedError, NumbersExhaustedError, fit_ref_number
from mapping.rules import RefNumberRule
from qbxml.text import clean_text

numbers = st.text(max_size=100) | st.from_regex(r"[A-Z]{0,5}-?20[0-9]{2}-[0-9]{1,25}", fullmatch=True)
lengths = st.sampled_from([11, 20])
fitting_rules = st.sampled_from([RefNumberRule.KEEP_END, RefNumberRule.KEEP_START])


@given(number=numbers, length=lengths, rule=fitting_rules)
def test_any_number_fits(number, length, rule):
    fitted = fit_ref_number(number, length, (), rule)
    assert 0 < len(fitted.text) <= length
    assert clean_text(fitted.text).text == fitted.text
    assert (fitted.change is None) == (fitted.text == number)
    assert fit_ref_number(number, length, (), rule) == fitted


@given(number=st.text("ABCDEFG0123456789-/", min_size=1, max_size=11))
def test_a_number_that_fits_is_kept(number):
    assert fit_ref_number(number, 11, {number}).text == number


@given(
    documents=st.lists(numbers.filter(lambda n: len(n) > 20), unique=True, max_size=40),
    length=lengths,
    rule=fitting_rules,
)
def test_fitted_numbers_are_unique(documents, length, rule):
    taken: set[str] = set()
    for number in documents:
        fitted = fit_ref_number(number, length, taken, rule).text
        assert fitted.casefold() not in {text.casefold() for text in taken}
        assert len(fitted) <= length
        taken.add(fitted)


@given(number=numbers.filter(lambda n: len(n) > 20), count=st.integers(1, 60))
def test_the_same_end_many_times(number, count):
    taken: list[str] = []
    for _ in range(count):
        taken.append(fit_ref_number(number, 11, taken).text)
    assert len(set(taken)) == count


@pytest.mark.parametrize(
    ("number", "length", "fitted"),
    [
        ("INV-2026-004821", 11, "2026-004821"),
        ("IN-0000123456-01", 11, "123456-01"),
        ("INV-2026-11-00482", 11, "26-11-00482"),
        ("GBH/2026/11/0000-00912-A", 20, "2026/11/0000-00912-A"),
        ("CARR-INV-00000012345", 20, "CARR-INV-00000012345"),
        ("ABCDEFGHIJKLMNOP", 11, "FGHIJKLMNOP"),
        ("00000000000000000", 11, "00000000000"),
        ("  48221 ", 11, "48221"),
    ],
)
def test_table(number, length, fitted):
    assert fit_ref_number(number, length, ()).text == fitted


def test_the_start_can_be_kept():
    assert fit_ref_number("48221-TX-DALLAS-2", 11, (), RefNumberRule.KEEP_START).text == "48221-TX-DA"


def test_a_taken_number_gets_a_check():
    first = fit_ref_number("INV-2026-11-00482", 11, ())
    second = fit_ref_number("CRN-3026-11-00482", 11, {first.text})
    assert second.text.startswith("11-00482-") and len(second.text) <= 11
    assert second.change is not None and "taken" in second.change.reason


def test_the_rule_can_refuse():
    with pytest.raises(NumberRefusedError):
        fit_ref_number("INV-2026-11-00482", 11, (), RefNumberRule.REFUSE)


def test_all_taken():
    with pytest.raises(NumbersExhaustedError):
        fit_ref_number("INV-2026-11-00482", 11, lambda _: True)
