"""The HRESULTs that say why QuickBooks could not be reached or did not answer, as data (web-connector.md 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

from qbxml.verdicts import Entry, Owner, Retry

_BY_ITSELF = "The export tries again by itself."


@dataclass(frozen=True, slots=True)
class HresultEntry:
    """A verdict, and whether a write that was on its way may have been done all the same."""

    entry: Entry
    may_have_run: bool = False


def _later(cause: str, owner: Owner, explanation: str, next_step: str, *, may_have_run: bool = False) -> HresultEntry:
    return HresultEntry(Entry(cause, owner, Retry.RETRY_LATER, explanation, f"{next_step} {_BY_ITSELF}"), may_have_run)


def _stop(cause: str, owner: Owner, explanation: str, next_step: str, *, may_have_run: bool = False) -> HresultEntry:
    return HresultEntry(Entry(cause, owner, Retry.NEVER, explanation, next_step), may_have_run)


def _installation(explanation: str, next_step: str, *, may_have_run: bool = False) -> HresultEntry:
    return _later("installation_fault", "it", explanation, next_step, may_have_run=may_have_run)


_CALL_ORDER = _later(
    "session_call_order",
    "it",
    "The connection between the Web Connector and QuickBooks was in a state where it could not take the request.",
    "Restart the Web Connector if this repeats.",
    may_have_run=True,
)
_CRASHED = _later(
    "quickbooks_crashed",
    "bookkeeper",
    "QuickBooks stopped working or closed while the export was talking to it.",
    "Start QuickBooks again and open the company file.",
    may_have_run=True,
)
_INTERFACE = _later(
    "interface_fault",
    "it",
    "QuickBooks or its connection component did not accept the way in which it was called.",
    "Update QuickBooks and the Web Connector to their latest releases.",
    may_have_run=True,
)
_COMPONENTS = _installation(
    "A component that connects programs with QuickBooks is missing or damaged on the QuickBooks computer.",
    "Repair the QuickBooks installation and install the Web Connector again.",
)
_CLASS = _installation(
    "Windows on the QuickBooks computer does not find the component that connects programs with QuickBooks.",
    "Repair the QuickBooks installation and install the Web Connector again.",
)

#: Keyed by the upper-case hexadecimal form.
HRESULTS: dict[str, HresultEntry] = {
    "0x80040308": _COMPONENTS,
    "0x80040400": HresultEntry(
        Entry(
            "request_unreadable",
            "us",
            Retry.OUR_BUG_SPLIT,
            "QuickBooks could not read the request, so it ran nothing of it.",
            "Nothing to do in QuickBooks: the export sends the documents one by one and sets the faulty one aside. "
            "The people who run the export correct it.",
        )
    ),
    "0x80040401": _installation(
        "The Web Connector could not reach QuickBooks.",
        "Open QuickBooks with the same Windows user and the same rights as the Web Connector; if that does not help, "
        "repair the QuickBooks installation.",
        # It also arrives after a request was sent; looking once more costs little, a second invoice much.
        may_have_run=True,
    ),
    "0x80040402": _later(
        "unexpected_error",
        "it",
        "QuickBooks reported an unexpected error; it may have crashed.",
        "Restart QuickBooks; the file qbsdklog.txt on the QuickBooks computer tells more.",
        may_have_run=True,
    ),
    "0x80040403": _later(
        "company_file_not_opened",
        "it",
        "QuickBooks could not open the company file.",
        "Check the path and the Windows rights of the file, and run Verify Data in QuickBooks.",
    ),
    "0x80040404": _COMPONENTS,
    "0x80040405": _COMPONENTS,
    "0x80040406": _later(
        "company_file_not_found",
        "it",
        "The company file was not found or is not a valid company file.",
        "Move the company file back to its path, or ask the support of TMS.ai to correct the path.",
    ),
    "0x80040407": _COMPONENTS,
    "0x80040408": _later(
        "quickbooks_not_started",
        "bookkeeper",
        "The Web Connector could not start QuickBooks.",
        "Open QuickBooks and the company file with the same Windows user, and close administrative tasks in it.",
    ),
    "0x80040409": _later(
        "file_version_mismatch",
        "it",
        "This release of QuickBooks cannot work with the company file.",
        "Update QuickBooks, or open the file with the release that it belongs to.",
    ),
    "0x8004040A": _later(
        "other_company_open",
        "bookkeeper",
        "Another company file is open in QuickBooks.",
        "Open the company file of this export, or close QuickBooks.",
    ),
    "0x8004040B": _CALL_ORDER,
    "0x8004040C": _CALL_ORDER,
    "0x8004040D": _later(
        "session_lost",
        "bookkeeper",
        "The connection to QuickBooks is no longer valid, usually because QuickBooks was restarted meanwhile.",
        "Leave QuickBooks open while the Web Connector works.",
        may_have_run=True,
    ),
    "0x8004040E": _later(
        "out_of_memory",
        "it",
        "QuickBooks or the Web Connector ran out of memory.",
        "Restart QuickBooks and the Web Connector.",
        may_have_run=True,
    ),
    "0x8004040F": _CALL_ORDER,
    "0x80040410": _later(
        "other_file_mode",
        "bookkeeper",
        "The company file is open in the other mode: single-user instead of multi-user, or the reverse.",
        "Switch QuickBooks to the other mode under File, or close the company file.",
    ),
    "0x80040411": _CALL_ORDER,
    "0x80040412": _CALL_ORDER,
    "0x80040413": _CALL_ORDER,
    "0x80040414": _later(
        "dialog_open",
        "bookkeeper",
        "A message or dialog is open in QuickBooks and blocks everything else.",
        "Answer or close the dialog in QuickBooks.",
    ),
    "0x80040416": _later(
        "quickbooks_not_running",
        "bookkeeper",
        "QuickBooks is not running and the export does not name a company file.",
        "Open QuickBooks and the company file, or ask the support of TMS.ai to enter the path of the file.",
    ),
    "0x80040417": _later(
        "no_company_open",
        "bookkeeper",
        "QuickBooks is running without a company file.",
        "Open the company file in QuickBooks.",
    ),
    "0x80040418": _later(
        "first_access_not_granted",
        "bookkeeper",
        "The export has never been allowed to open this company file.",
        "Log in to QuickBooks as administrator, run the Web Connector once and allow the access.",
    ),
    "0x8004041A": _later(
        "access_not_allowed",
        "bookkeeper",
        "The export has no permission for this company file.",
        "Log in to QuickBooks as administrator and allow it under Edit, Preferences, Integrated Applications.",
    ),
    "0x8004041B": _later(
        "lock_info_missing",
        "it",
        "QuickBooks could not find out who has the company file open.",
        "Check the network connection to the company file if this repeats.",
    ),
    "0x8004041C": _later(
        "internal_error",
        "it",
        "QuickBooks reported an internal error.",
        "Restart QuickBooks if this repeats.",
        may_have_run=True,
    ),
    "0x8004041D": _later(
        "automatic_login_not_allowed",
        "bookkeeper",
        "The export may not open the company file while QuickBooks is closed.",
        "Log in as administrator and tick 'Allow this application to log in automatically' under Edit, Preferences, "
        "Integrated Applications; until then keep QuickBooks open.",
    ),
    "0x8004041E": _stop(
        "certificate_expired",
        "us",
        "QuickBooks says that the certificate of the application has expired.",
        "The people who run the export renew the certificate.",
    ),
    "0x8004041F": _stop(
        "edition_not_supported",
        "it",
        "This edition of QuickBooks cannot be used by other programs.",
        "Install QuickBooks Pro, Premier or Enterprise.",
    ),
    "0x80040420": _later(
        "access_denied_by_user",
        "bookkeeper",
        "Somebody refused the access of the export in QuickBooks.",
        "Allow it under Edit, Preferences, Integrated Applications, and answer the next question with yes.",
    ),
    "0x80040421": _stop(
        "message_from_quickbooks",
        "bookkeeper",
        "QuickBooks refused the connection or the request with a message of its own.",
        "Read the message and clear its cause, then export again.",
        may_have_run=True,
    ),
    "0x80040422": _later(
        "single_user_conflict",
        "bookkeeper",
        "An application needs the company file for itself while another one shares it.",
        "Close the other programs that use the company file.",
    ),
    "0x80040423": HresultEntry(
        Entry(
            "version_not_supported",
            "it",
            Retry.LOWER_VERSION,
            "This QuickBooks does not understand the version of the language that the export used.",
            "The export tries older versions by itself. If QuickBooks understands none of them, update it to its "
            "latest release under Help, Update QuickBooks.",
        )
    ),
    "0x80040424": _later(
        "still_starting",
        "bookkeeper",
        "QuickBooks had not finished starting.",
        "Wait until QuickBooks shows the company file.",
    ),
    "0x80040425": _INTERFACE,
    "0x80040426": _INTERFACE,
    "0x80040427": _later(
        "quickbooks_not_registered",
        "it",
        "This copy of QuickBooks is not registered.",
        "Register QuickBooks under Help.",
    ),
    "0x80040428": _INTERFACE,
    "0x80040429": _INTERFACE,
    "0x8004042A": _later(
        "remote_access_not_allowed",
        "it",
        "QuickBooks does not allow access from another computer.",
        "Run the Web Connector on the computer where QuickBooks is installed.",
    ),
    "0x8004042B": _INTERFACE,
    "0x8004042C": _stop(
        "certificate_revoked",
        "us",
        "QuickBooks says that the certificate of the application was revoked.",
        "The people who run the export obtain a new certificate.",
    ),
    "0x80040438": _later(
        "several_instances",
        "it",
        "Several copies of QuickBooks or of the Web Connector are running.",
        "Close the extra ones, also those of other Windows users.",
    ),
    "0x80010105": _CRASHED,
    "0x80010108": _CRASHED,
    "0x800706BA": _CRASHED,
    "0x800706BE": _CRASHED,
    "0x80040154": _CLASS,
    "0x800401F0": _CLASS,
    "0x800401F3": _CLASS,
    "0x80020009": _stop(
        "exception_with_message",
        "bookkeeper",
        "QuickBooks reported an error whose reason stands in the message.",
        "Read the message and clear its cause, then export again.",
        may_have_run=True,
    ),
}
