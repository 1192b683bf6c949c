"""A Web Connector and a QuickBooks that cost next to nothing: prepared bodies, and answers made by one substitution.

The simulator does what a real company file does and takes longer than the bridge; beside it the bridge's own cost could
not be seen. What is answered here has the shape of qbxml.md 2.3, with nothing in it that the bridge does not need.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import unescape

from simulator.soap import envelope

OWNER_ID = "{57F3B9B6-86F1-4FCC-B1FF-966DE1813D20}"
FILE_ID = "{90A44FB5-33D9-4815-AC85-BC87A7E7D1EB}"
PRODUCT = "QuickBooks Enterprise Solutions 24.0"
COMPANY_NAME = "Acme Brokerage"
_DATA_EXT = (
    f"<DataExtRet><OwnerID>{OWNER_ID}</OwnerID><DataExtName>%s</DataExtName><DataExtType>STR255TYPE</DataExtType>"
    "<DataExtValue>%s</DataExtValue></DataExtRet>"
)
HCP = (
    '<?xml version="1.0" ?><QBXML><QBXMLMsgsRs>'
    '<HostQueryRs requestID="0" statusCode="0" statusSeverity="Info" statusMessage="Status OK"><HostRet>'
    f"<ProductName>{PRODUCT}</ProductName><MajorVersion>34</MajorVersion>"
    "<MinorVersion>0</MinorVersion><Country>US</Country><SupportedQBXMLVersion>12.0</SupportedQBXMLVersion>"
    "<SupportedQBXMLVersion>13.0</SupportedQBXMLVersion><SupportedQBXMLVersion>16.0</SupportedQBXMLVersion>"
    "<IsAutomaticLogin>false</IsAutomaticLogin><QBFileMode>MultiUser</QBFileMode></HostRet></HostQueryRs>"
    '<CompanyQueryRs requestID="1" statusCode="0" statusSeverity="Info" statusMessage="Status OK"><CompanyRet>'
    "<IsSampleCompany>false</IsSampleCompany>"
    f"<CompanyName>{COMPANY_NAME}</CompanyName>"
    + _DATA_EXT % ("FileID", FILE_ID)
    + _DATA_EXT % ("AppLock", "LOCKED:OFFICE-PC:639000000000000000")
    + "</CompanyRet></CompanyQueryRs></QBXMLMsgsRs></QBXML>"
)
COMPANY_FILE = "C:\\Books\\acme.qbw"
VERSION = "34.0.10010.76"

_FINE = 'statusCode="0" statusSeverity="Info" statusMessage="Status OK"'
_SET = re.compile(r'newMessageSetID="([^"]+)"')
_ADD = re.compile(r'<(Invoice|Bill)AddRq requestID="([^"]+)"')
_ASKED = re.compile(r'<(Invoice|Bill)QueryRq requestID="(check\.[^"]+)">(.*?)</\1QueryRq>', re.DOTALL)
_ACTIVITY = re.compile(r'<CompanyActivityQueryRq requestID="(check\.[^"]+)"')
_LOOKED = re.compile(r'<(Invoice|Bill)QueryRq requestID="(look\.[^"]+)"')
_NOT_FOUND = 'statusCode="1" statusSeverity="Info" statusMessage="A query request did not find a matching object"'
_TXN_ID = re.compile(r"<TxnID>([^<]*)</TxnID>")
_REF = re.compile(r"<RefNumber>([^<]*)</RefNumber>")


def answer(qbxml: str) -> str:
    """Answer a message set of invoices and bills: each is written, under a TxnID that follows from its requestID.

    What is looked for by TxnID is there, and what is looked for before it is added is not.
    """
    found = _SET.search(qbxml)
    numbers = _REF.findall(qbxml)
    adds = _ADD.findall(qbxml)
    parts = [
        f'<{kind}AddRs requestID="{request_id}" statusCode="0" statusSeverity="Info" statusMessage="Status OK">'
        f"<{kind}Ret><TxnID>{request_id}</TxnID><TimeCreated>2026-11-23T10:00:00-06:00</TimeCreated>"
        f"<TimeModified>2026-11-23T10:00:00-06:00</TimeModified><EditSequence>1764000000</EditSequence>"
        f"<TxnNumber>{number}</TxnNumber><RefNumber>{numbers[number - 1] if number <= len(numbers) else ''}</RefNumber>"
        f"</{kind}Ret></{kind}AddRs>"
        for number, (kind, request_id) in enumerate(adds, 1)
    ]
    for kind, request_id, asked in _ASKED.findall(qbxml):
        rows = "".join(
            f"<{kind}Ret><TxnID>{txn_id}</TxnID><EditSequence>1764000000</EditSequence></{kind}Ret>"
            for txn_id in _TXN_ID.findall(asked)
        )
        parts.append(f'<{kind}QueryRs requestID="{request_id}" {_FINE}>{rows}</{kind}QueryRs>')
    parts += [f'<{kind}QueryRs requestID="{one}" {_NOT_FOUND} />' for kind, one in _LOOKED.findall(qbxml)]
    for request_id in _ACTIVITY.findall(qbxml):
        ret = "<CompanyActivityRet/>"
        parts.append(f'<CompanyActivityQueryRs requestID="{request_id}" {_FINE}>{ret}</CompanyActivityQueryRs>')
    ids = f' newMessageSetID="{found[1]}" messageSetStatusCode="0"' if found else ""
    return f'<?xml version="1.0" ?><QBXML><QBXMLMsgsRs{ids}>{"".join(parts)}</QBXMLMsgsRs></QBXML>'


def sign_in(username: str, password: str) -> bytes:
    """Give the body of `authenticate`."""
    return envelope("authenticate", [("strUserName", username), ("strPassword", password)])


def company_file(number: int) -> str:
    """Give the path of a company's own file: two connections are not bound to one."""
    return COMPANY_FILE.replace(".", f" {number}.")


def send_request(ticket: str, *, first: bool, number: int = 0) -> bytes:
    """Give the body of `sendRequestXML`; the first one of a session tells of the company's file."""
    return envelope(
        "sendRequestXML",
        [
            ("ticket", ticket),
            ("strHCPResponse", HCP if first else ""),
            ("strCompanyFileName", company_file(number)),
            ("qbXMLCountry", "US"),
            ("qbXMLMajorVers", 16),
            ("qbXMLMinorVers", 0),
        ],
    )


def receive_response(ticket: str, response: str) -> bytes:
    """Give the body of `receiveResponseXML`."""
    return envelope(
        "receiveResponseXML", [("ticket", ticket), ("response", response), ("hresult", ""), ("message", "")]
    )


def close(ticket: str) -> bytes:
    """Give the body of `closeConnection`."""
    return envelope("closeConnection", [("ticket", ticket)])


def opening() -> tuple[bytes, bytes]:
    """Give the bodies of the first two calls of every session."""
    return envelope("serverVersion", []), envelope("clientVersion", [("strVersion", VERSION)])


_STRING = re.compile(rb"<tns:string>([^<]*)</tns:string>")
_RESULT = re.compile(rb"Result>([^<]*)</tns:")


def strings(reply: bytes) -> list[str]:
    """Read the texts of an `authenticate` reply, without a parser's cost."""
    return [unescape(text.decode()) for text in _STRING.findall(reply)]


def result(reply: bytes) -> str:
    """Read the one result of a reply."""
    found = _RESULT.search(reply)
    return unescape(found[1].decode(), {"&quot;": '"'}) if found else ""
