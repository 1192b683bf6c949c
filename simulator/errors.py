"""How QuickBooks refuses: for a whole document, for one request, or by dying (qbxml.md 0, 6.3)."""

from dataclasses import dataclass

PARSE_ERROR = "0x80040400"
PARSE_ERROR_TEXT = "QuickBooks found an error when parsing the provided XML text stream."
VERSION_ERROR = "0x80040423"
VERSION_ERROR_TEXT = "The version of qbXML that was requested is not supported or is unknown."
DISCONNECTED = "0x80010108"
DISCONNECTED_TEXT = "The object invoked has disconnected from its clients."


class QuickBooksError(Exception):
    """The request processor threw: nothing of the message set ran (qbxml.md 6.3)."""

    def __init__(self, hresult: str, message: str) -> None:
        super().__init__(f"{hresult} {message}")
        self.hresult = hresult
        self.message = message


class QuickBooksCrash(Exception):  # noqa: N818 - it plays a crash, not an error of this program
    """QuickBooks died during a message set; what it had committed stays committed (qbxml.md 7.16).

    Without an hresult the Web Connector died with it and tells the server nothing.
    """

    def __init__(self, hresult: str | None) -> None:
        super().__init__(hresult or "no word of it")
        self.hresult = hresult
        self.message = DISCONNECTED_TEXT


@dataclass(frozen=True)
class Status:
    """What one Rs says about its request (qbxml.md 6.1)."""

    code: int
    message: str
    said: str | None = None
    """The severity that it calls itself, where that is not the one of its range."""

    @property
    def severity(self) -> str:
        """Info, Warn or Error, by the ranges of qbxml.md 6.1."""
        if self.said is not None:
            return self.said
        if self.code < 500:
            return "Info"
        return "Warn" if self.code < 1000 else "Error"


OK = Status(0, "Status OK")
NO_MATCH = Status(1, "A query request did not find a matching object in QuickBooks")
ODD_TEXTS = {
    "0": "Status OK",
    "510": "Unable to return the object: it was added, but could not be read again.",
    "1000": "There has been an internal error when processing the request.",
}
"""Of answers that do not say whether the record is there; their wording differs between releases."""
NOT_PROCESSED = Status(3231, "The request has not been processed.")


class RequestProblem(Exception):  # noqa: N818 - carried to the Rs as its status
    """One request cannot be done; the others of the set go on or not, as onError says (qbxml.md 1.3)."""

    def __init__(self, code: int, message: str, severity: str | None = None) -> None:
        super().__init__(f"{code} {message}")
        self.status = Status(code, message, severity)


def not_found(value: str) -> Status:
    """The status of a look-up that missed a value; rows found beside it are still returned (qbxml.md 6.2, 500)."""
    return Status(
        500,
        "The query request has not been fully completed. "
        f'There was a required element ("{value}") that could not be found in QuickBooks.',
    )


NO_SUCH_RECORD = "Invalid argument.  The specified record does not exist in the list."
WRONG_CURRENCY = "The currency of the account must be either in home currency or the transaction currency."
TYPE_NEEDED = "The account for this transaction must be of type {}."


def bad_reference(kind: str, value: str, place: str, why: str = NO_SUCH_RECORD) -> RequestProblem:
    """An unknown, inactive or unsuitable reference (qbxml.md 6.2, 3140); the second sentence says which."""
    return RequestProblem(
        3140,
        f'There is an invalid reference to QuickBooks {kind} "{value}" in the {place}.  '
        f"QuickBooks error message: {why}",
    )


def missing_element(name: str) -> RequestProblem:
    """An element the business rules need (qbxml.md 6.2, 3150)."""
    return RequestProblem(3150, f'There is a missing element: "{name}"')
