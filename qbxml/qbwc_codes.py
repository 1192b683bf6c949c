"""The Web Connector's own codes, which people read in its window and log (web-connector.md 4.2)."""

from __future__ import annotations

from typing import NamedTuple

from qbxml.verdicts import Owner


class QbwcCode(NamedTuple):
    """One code of the Web Connector."""

    cause: str
    next_step: str
    owner: Owner


_NEW_FILE = "Download the connection file again from the export's setup page and add it to the Web Connector."
_QUICKBOOKS = "Open QuickBooks and the company file, close its dialogs, and click Update Selected."
_REINSTALL = "Restart the Web Connector; if it happens again, install it anew."
_SERVICE = "Check that the export service is running and can be reached from this computer, then update again."
_NONE = "Nothing to do."
_TELL_US = "Send the Web Connector's log to the people who run the export."

#: Code to cause, next step and owner. Codes that no source describes are absent.
QBWC_CODES: dict[int, QbwcCode] = {
    1000: QbwcCode("The service address and the support address belong to different domains.", _NEW_FILE, "us"),
    1001: QbwcCode("The service address is a bare IP address.", _NEW_FILE, "us"),
    1002: QbwcCode("The support address is a bare IP address.", _NEW_FILE, "us"),
    1003: QbwcCode("The support page did not answer as expected.", _SERVICE, "us"),
    1004: QbwcCode("The support page could not be reached.", _SERVICE, "us"),
    1005: QbwcCode("The Web Connector could not start because its log file is missing.", _REINSTALL, "it"),
    1006: QbwcCode("The Web Connector could not start.", _REINSTALL, "it"),
    1007: QbwcCode(
        "The Web Connector could not connect to QuickBooks, also on the second try.", _QUICKBOOKS, "bookkeeper"
    ),
    1008: QbwcCode("The Web Connector could not connect to QuickBooks.", _QUICKBOOKS, "bookkeeper"),
    1009: QbwcCode("Somebody cancelled the connection to QuickBooks.", _QUICKBOOKS, "bookkeeper"),
    1010: QbwcCode("The service address does not begin with https.", _NEW_FILE, "us"),
    1011: QbwcCode("The list in the window no longer fits the registered applications.", _REINSTALL, "it"),
    1012: QbwcCode("Logging in to the export service failed or its answer could not be read.", _SERVICE, "us"),
    1013: QbwcCode("QuickBooks or the company file could not be opened.", _QUICKBOOKS, "bookkeeper"),
    1014: QbwcCode(
        "QuickBooks did not answer the questions about program, company and preferences.", _QUICKBOOKS, "bookkeeper"
    ),
    1015: QbwcCode("The connection to QuickBooks could not be closed.", _REINSTALL, "it"),
    1016: QbwcCode(
        "No application is selected.", "Tick the export in the Web Connector and click Update Selected.", "bookkeeper"
    ),
    1017: QbwcCode(
        "Some applications were not updated.", "Read the status of each application in the window.", "bookkeeper"
    ),
    1018: QbwcCode("There is nothing to select.", "Add the export to the Web Connector first.", "bookkeeper"),
    1019: QbwcCode("There is nothing to unselect.", _NONE, "bookkeeper"),
    1020: QbwcCode(
        "The Web Connector was closed although updates are scheduled.", "Leave the Web Connector running.", "bookkeeper"
    ),
    1021: QbwcCode("The version of the component that talks to QuickBooks is unknown.", _REINSTALL, "it"),
    1022: QbwcCode("QuickBooks could not be opened while the application was being added.", _QUICKBOOKS, "bookkeeper"),
    1023: QbwcCode("QuickBooks could not be opened while the application was being added.", _QUICKBOOKS, "bookkeeper"),
    1024: QbwcCode("QuickBooks could not be opened while the application was being added.", _QUICKBOOKS, "bookkeeper"),
    1025: QbwcCode("The mark of this export could not be looked up in the company file.", _NEW_FILE, "us"),
    1026: QbwcCode("The mark of this export could not be written into the company file.", _NEW_FILE, "us"),
    1027: QbwcCode("Looking up or writing the mark of this export in the company file failed.", _NEW_FILE, "us"),
    1028: QbwcCode("The password could not be stored.", "Enter the password in the Web Connector again.", "bookkeeper"),
    1029: QbwcCode(
        "The stored password could not be read.", "Enter the password in the Web Connector again.", "bookkeeper"
    ),
    1030: QbwcCode("No password is stored.", "Enter the password in the Web Connector.", "bookkeeper"),
    1031: QbwcCode(
        "A scheduled update ended with an error.", "Read the message above it; it names the cause.", "bookkeeper"
    ),
    1032: QbwcCode("The application of a scheduled update is not registered.", _NEW_FILE, "it"),
    1033: QbwcCode("The log file cannot be opened.", "Check the rights and the free space of the disk.", "it"),
    1034: QbwcCode("The connection file names editions of QuickBooks in a wrong form.", _NEW_FILE, "us"),
    1035: QbwcCode("The service address points to the computer itself.", _NEW_FILE, "us"),
    1036: QbwcCode("The export service did not answer the question about the version.", _SERVICE, "us"),
    1037: QbwcCode(
        "The export service asks for another version of the Web Connector.",
        "Install the version that the message names.",
        "it",
    ),
    1038: QbwcCode(
        "The password of the Web Connector itself was not entered.",
        "Start the Web Connector again and enter it.",
        "bookkeeper",
    ),
    1039: QbwcCode(
        "The application could not be added: the connection file is incomplete or was added before.",
        "Remove the old entry from the Web Connector, download the connection file again and add it.",
        "it",
    ),
    1040: QbwcCode(
        "User name or password is wrong.",
        "Enter the password in the Web Connector again, or have a new one issued in the export's setup page.",
        "bookkeeper",
    ),
    1041: QbwcCode("Fetching work from the export service failed.", _SERVICE, "us"),
    1042: QbwcCode(
        "Handing an answer of QuickBooks to the export service failed.",
        "Click Update Selected again. The export checks what was saved, so nothing is entered twice.",
        "us",
    ),
    1043: QbwcCode("Fetching the error text from the export service failed.", _SERVICE, "us"),
    1044: QbwcCode("Saying goodbye to the export service failed; the data were exchanged before that.", _NONE, "us"),
    1045: QbwcCode("Reporting a QuickBooks error to the export service failed.", _SERVICE, "us"),
    1046: QbwcCode("The answer of the export service about the version could not be read.", _TELL_US, "us"),
    1048: QbwcCode(
        "The certificate of the export service could not be verified, or its address did not answer.",
        "Open the service address in a browser on this computer; if the browser warns or shows nothing, tell IT.",
        "it",
    ),
    1051: QbwcCode("The service address is not on an https server, so the application was not added.", _NEW_FILE, "us"),
    1085: QbwcCode("The log file could not be written.", "Check the rights and the free space of the disk.", "it"),
}
