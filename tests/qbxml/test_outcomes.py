from __future__ import annotations

import pytest

from qbxml.hresults import HRESULTS
from qbxml.outcomes import QBWC_CODES, Retry, Verdict, classify_hresult, classify_status, normalise_hresult
from qbxml.status_codes import STATUS_BY_TEXT, STATUS_CODES

D, R, N, U = Retry.DONE, Retry.RETRY_LATER, Retry.NEVER, Retry.UNKNOWN_OUTCOME

STATUS: dict[Retry, tuple[int, ...]] = {
    D: (0, 1, 500, 510, 530, 531, 540, 550, 560, 570, 600),
    R: (1010, 3175, 3176, 3200, 3230, 3231, 3390, 3391),
    U: (501, 1000, 9001, 9002, 9003, 9005),
    N: (
        *(1020, 1030, 1060, 2000, 2040, 2999, 3000, 3010, 3020, 3030, 3031, 3035, 3040, 3045, 3050, 3060, 3065, 3070),
        *(3080, 3085, 3090, 3100, 3101, 3110, 3120, 3130, 3140, 3150, 3151, 3152, 3153, 3160, 3161, 3162, 3171, 3177),
        *(3185, 3190, 3205, 3220, 3240, 3250, 3260, 3261, 3262, 3263, 3270, 3280, 3290, 3300, 3310, 3335, 3360, 3500),
        *(9004, 9100, 9150, 9199),
    ),
}

# Before a write was sent nothing can be lost: these are the ways in which an open attempt ends.
HRESULT_RETRY: dict[Retry, str] = {
    Retry.OUR_BUG_SPLIT: "80040400",
    Retry.LOWER_VERSION: "80040423",
    N: "8004041E 8004041F 80040421 8004042C 80020009",
    R: "80040308 80040401 80040402 80040403 80040404 80040405 80040406 80040407 80040408 80040409 8004040A 8004040B "
    "8004040C 8004040D 8004040E 8004040F 80040410 80040411 80040412 80040413 80040414 80040416 80040417 80040418 "
    "8004041A 8004041B 8004041C 8004041D 80040420 80040422 80040424 80040425 80040426 80040427 80040428 80040429 "
    "8004042A 8004042B 80040438 80010105 80010108 800706BA 800706BE 80040154 800401F0 800401F3",
}
UNKNOWN_AFTER_WRITE = ("80040401", "80040402", "8004040D", "8004041C", "80010105", "80010108", "800706BA", "800706BE")
NOTHING_RAN = (
    "80040400",
    "80040423",
    "80040408",
    "8004040A",
    "80040410",
    "80040414",
    "80040416",
    "8004041A",
    "80040422",
)
QBWC = (*range(1000, 1047), 1048, 1051, 1085)


def check_words(verdict: Verdict) -> None:
    assert verdict.cause.replace("_", "a").isalnum()
    assert verdict.cause == verdict.cause.lower()
    for sentence in (verdict.explanation, verdict.next_step):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert len(sentence) < 400
    assert verdict.owner in ("tms_user", "bookkeeper", "it", "us")


@pytest.mark.parametrize(("code", "retry"), [(code, retry) for retry, codes in STATUS.items() for code in codes])
def test_every_status_code(code: int, retry: Retry) -> None:
    verdict = classify_status(code, "Error", "")
    assert (verdict.code, verdict.retry) == (str(code), retry)
    assert verdict.cause != "unknown_status"
    check_words(verdict)


def test_no_status_code_is_untested() -> None:
    assert {*STATUS_CODES, *STATUS_BY_TEXT} <= {
        *(code for codes in STATUS.values() for code in codes),
        3170,
        3180,
        3210,
    }


@pytest.mark.parametrize(
    ("code", "text", "cause", "retry"),
    [
        (3170, "This list has been modified by another user.", "record_in_use", R),
        (3170, "The internals could not be locked. They are in use by another user.", "record_in_use", R),
        (3170, "Cannot merge list elements.", "merge_refused", N),
        (3170, "Something else.", "save_refused", N),
        (3180, "This list has been modified by another user.", "record_in_use", R),
        (3180, "The list element is in use.", "record_in_use", R),
        (3180, "The credit limit for this name has been exceeded.", "credit_limit_exceeded", N),
        (3180, "The account number you entered is already in use.", "account_number_in_use", N),
        (3180, "The posting account is missing.", "posting_account_missing", N),
        (3180, "Nothing known.", "save_refused", N),
        (3210, "You cannot pay more than the amount due.", "more_than_amount_due", N),
        (3210, 'The "address" field has an invalid value "x". The parameter is incorrect.', "address_refused", N),
        (3210, "Nothing known.", "value_refused", N),
    ],
)
def test_codes_that_are_read_from_their_text(code: int, text: str, cause: str, retry: Retry) -> None:
    message = f"There was an error when saving a Invoice.  QuickBooks error message: {text}"
    verdict = classify_status(code, "Error", message)
    assert (verdict.cause, verdict.retry) == (cause, retry)
    if cause in {"save_refused", "value_refused"}:
        assert text in verdict.explanation
    check_words(verdict)


def test_invalid_reference_names_the_entry() -> None:
    verdict = classify_status(
        3140,
        "Error",
        'There is an invalid reference to QuickBooks Item "Fuel 2" in the Invoice line.  QuickBooks error message: x.',
    )
    assert verdict.explanation.startswith('QuickBooks cannot use the Item "Fuel 2" in the Invoice line:')
    assert verdict.owner == "bookkeeper"


def test_saved_without_answer_is_done() -> None:
    assert classify_status(510, "Warn", "x").retry is Retry.DONE


@pytest.mark.parametrize(
    ("code", "severity", "retry"),
    [
        (4711, "Error", N),
        (4711, "Info", U),
        (777, "Warn", U),
        (777, "Info", U),
        (777, "Error", U),
        (3, "Info", D),
        (3, "Error", U),
        (-1, "", U),
    ],
)
def test_unknown_status_codes_stop_with_their_text(code: int, severity: str, retry: Retry) -> None:
    verdict = classify_status(code, severity, "Odd  thing\nhappened.")
    assert verdict.retry is retry
    if retry is not D:
        assert verdict.owner == "bookkeeper"
        assert "Odd thing happened." in verdict.explanation
    check_words(verdict)


def test_every_hresult() -> None:
    listed = {f"0x{code}": retry for retry, codes in HRESULT_RETRY.items() for code in codes.split()}
    assert set(HRESULTS) == set(listed)
    for code, retry in listed.items():
        verdict = classify_hresult(code, "", after_write=False)
        assert (verdict.code, verdict.retry) == (code, retry)
        check_words(verdict)
        check_words(classify_hresult(code, "", after_write=True))


@pytest.mark.parametrize("code", UNKNOWN_AFTER_WRITE)
def test_outcome_of_a_write_is_unknown(code: str) -> None:
    verdict = classify_hresult(f"0x{code}", "", after_write=True)
    assert verdict.retry is U
    assert "asks QuickBooks" in verdict.next_step


@pytest.mark.parametrize("code", NOTHING_RAN)
def test_nothing_ran_even_after_a_write(code: str) -> None:
    assert classify_hresult(f"0x{code}", "", after_write=True).retry is not U


@pytest.mark.parametrize(
    "text",
    [
        *("0x8004040a", "0X8004040A", " 0x8004040A ", "8004040a", "8004040A", "&H8004040A", "&h8004040A&"),
        *("-2147220470", "2147746826"),
    ],
)
def test_hresults_however_written(text: str) -> None:
    assert normalise_hresult(text) == "0x8004040A"
    assert classify_hresult(text, "", after_write=False).cause == "other_company_open"


def test_eight_digits_are_hexadecimal_without_their_prefix() -> None:
    """All of them look like a decimal number, too; a failure has ten digits there."""
    assert normalise_hresult("80040400") == "0x80040400"
    assert classify_hresult("80040400", "", after_write=True).retry is Retry.OUR_BUG_SPLIT


def test_message_of_quickbooks_is_shown() -> None:
    assert "Log in first" in classify_hresult("0x80040421", "Log in first.", after_write=False).explanation


@pytest.mark.parametrize(("after_write", "retry"), [(False, N), (True, U)])
def test_unknown_hresult(after_write: bool, retry: Retry) -> None:
    for code in ("0x80049999", "", "odd"):
        verdict = classify_hresult(code, "Odd.", after_write=after_write)
        assert (verdict.cause, verdict.owner, verdict.retry) == ("unknown_hresult", "bookkeeper", retry)
        assert verdict.explanation.endswith("Its message: Odd.")


def test_every_web_connector_code() -> None:
    assert set(QBWC_CODES) == set(QBWC)
    for code in QBWC_CODES.values():
        assert code.cause.endswith(".")
        assert code.next_step.endswith(".")
