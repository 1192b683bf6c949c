from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zeep
from lxml import etree

from tests.soap.fake_service import PASSWORD
from tests.soap.server_process import NAMESPACE, Server, envelope

CALLS: list[tuple[str, tuple[Any, ...], Any]] = [
    ("serverVersion", (), "1.0 test"),
    ("clientVersion", ("34.0.10010.76",), ""),
    ("authenticate", ("jo", "s3cret ü"), ["{11111111-2222-3333-4444-555555555555}", ""]),
    ("connectionError", ("t", "0x80040400", "m"), "done"),
    (
        "sendRequestXML",
        ("t", "<HCP/>", "C:\\a & b.qbw", "US", 13, 0),
        '<?xml version="1.0"?><?qbxml version="13.0"?><QBXML>caf&#233;</QBXML>',
    ),
    ("receiveResponseXML", ("t", '\n <?xml version="1.0" ?><QBXML>é</QBXML> ', "", ""), 100),
    ("getLastError", ("t",), "Invoice 7 < needs & attention"),
    ("closeConnection", ("t",), "OK"),
]


@pytest.fixture(scope="module")
def proxy(server: Server, intuit_wsdl: Path) -> Iterator[Any]:
    client = zeep.Client(str(intuit_wsdl))
    bindings = [str(name) for name in client.wsdl.bindings if not str(name).endswith("12")]
    yield client.create_service(bindings[0], server.url)
    client.transport.session.close()


@pytest.mark.parametrize(
    ("method", "values", "expected"), CALLS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_proxy_built_from_intuits_wsdl(
    server: Server, proxy: Any, method: str, values: tuple[Any, ...], expected: Any
) -> None:
    answer = getattr(proxy, method)(*values)
    # zeep gives None for an element that is there and empty.
    assert ([text or "" for text in answer] if method == "authenticate" else (answer or "")) == expected
    assert server.calls()[-1][1:] == [str(value) for value in values]


def result(server: Server, call: str) -> str:
    reply = server.post(envelope(call))
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"].startswith("text/xml")
    assert int(reply.headers["content-length"]) == len(reply.body)
    assert "content-encoding" not in reply.headers
    assert reply.body.startswith(b"<?xml")
    name = call.strip("<>/").split(">")[0].rstrip("/")
    found = etree.fromstring(reply.body).findall(f".//{{{NAMESPACE}}}{name}Result")
    assert len(found) == 1
    return found[0].text or ""


def test_exact_bytes_of_authenticate_response(server: Server) -> None:
    reply = server.post(
        envelope("<authenticate><strUserName>jo</strUserName><strPassword>x</strPassword></authenticate>")
    )
    assert reply.body == (
        b"<?xml version='1.0' encoding='UTF-8'?>\n"
        b'<soap11env:Envelope xmlns:soap11env="http://schemas.xmlsoap.org/soap/envelope/"'
        b' xmlns:tns="http://developer.intuit.com/"><soap11env:Body><tns:authenticateResponse>'
        b"<tns:authenticateResult><tns:string>{11111111-2222-3333-4444-555555555555}</tns:string>"
        b"<tns:string></tns:string></tns:authenticateResult></tns:authenticateResponse></soap11env:Body>"
        b"</soap11env:Envelope>"
    )


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("<getInteractiveURL><wcTicket>t</wcTicket><sessionID>s</sessionID></getInteractiveURL>", ""),
        ("<interactiveDone><wcTicket>t</wcTicket></interactiveDone>", "DONE"),
        ("<isInteractiveDone><wcTicket>t</wcTicket></isInteractiveDone>", "DONE"),
        ("<interactiveRejected><wcTicket>t</wcTicket><reason>r</reason></interactiveRejected>", ""),
        ("<serverVersion/>", "1.0 test"),
    ],
)
def test_calls_outside_the_public_wsdl(server: Server, call: str, expected: str) -> None:
    assert result(server, call) == expected


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "<ticket/><hresult/><message/>",
        '<ticket xsi:nil="true"/><hresult xsi:nil="true"/><message xsi:nil="true"/>',
        "<ticket></ticket><unknown>1</unknown>",
    ],
    ids=["absent", "empty", "nil", "unknown extra"],
)
def test_absent_empty_and_nil_are_alike(server: Server, parameters: str) -> None:
    assert result(server, f"<connectionError>{parameters}</connectionError>") == "done"
    assert server.calls()[-1] == ["connection_error", "", "", ""]


def test_version_numbers_that_are_none(server: Server) -> None:
    result(server, "<sendRequestXML><ticket>t</ticket><qbXMLMajorVers>x</qbXMLMajorVers></sendRequestXML>")
    assert server.calls()[-1] == ["send_request_xml", "t", "", "", "", "x", ""]


def test_forbidden_character_references_and_comments_are_dropped(server: Server) -> None:
    parameters = "<ticket>t</ticket><response>a&#x1F;b&#3;c<!-- x -->d</response>"
    assert result(server, f"<receiveResponseXML>{parameters}</receiveResponseXML>") == "100"
    assert server.calls()[-1] == ["receive_response_xml", "t", "abcd", "", ""]


@pytest.mark.parametrize("size", [100_000, 12_000_000])
def test_large_responses(server: Server, size: int) -> None:
    parameters = f"<ticket>t</ticket><response>{'x' * size}</response>"
    assert result(server, f"<receiveResponseXML>{parameters}</receiveResponseXML>") == "100"
    assert len(server.calls()[-1][2]) == size


@pytest.mark.parametrize(
    ("encoding", "content_type"),
    [
        ("utf-8", "text/xml"),
        ("utf-8", "text/xml; charset=UTF8"),
        ("utf-8", 'text/xml; charset="nonsense"'),
        ("utf-8-sig", "text/xml; charset=utf-8"),
        ("utf-16", "text/xml; charset=utf-16"),
        ("utf-16", "text/xml"),
        ("iso-8859-1", "text/xml; charset=iso-8859-1"),
        ("windows-1252", "text/xml; charset=windows-1252"),
    ],
)
def test_charsets(server: Server, encoding: str, content_type: str) -> None:
    body = envelope("<getLastError><ticket>é</ticket></getLastError>").decode()
    declared = "utf-8" if "charset" in content_type else encoding.removesuffix("-sig")
    reply = server.post(body.replace('encoding="utf-8"', f'encoding="{declared}"').encode(encoding), content_type)
    assert reply.status == 200
    assert server.calls()[-1] == ["get_last_error", "é"]


def test_chunked_body(server: Server) -> None:
    def chunks() -> Iterable[bytes]:
        whole = envelope("<getLastError><ticket>chunked</ticket></getLastError>")
        yield whole[:50]
        yield whole[50:]

    assert server.post(chunks(), encode_chunked=True).status == 200
    assert server.calls()[-1] == ["get_last_error", "chunked"]


def test_expect_continue(server: Server) -> None:
    body = envelope("<getLastError><ticket>e</ticket></getLastError>")
    headers = {"Content-Type": "text/xml; charset=utf-8", "Expect": "100-continue", "SOAPAction": '""'}
    assert server.request("POST", "/qbwc", body, headers).status == 200


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("<clientVersion><strVersion>fail</strVersion></clientVersion>", ""),
        ("<sendRequestXML><ticket>fail</ticket></sendRequestXML>", ""),
        ("<receiveResponseXML><ticket>fail</ticket></receiveResponseXML>", "-1"),
        ("<receiveResponseXML><ticket>wrong</ticket></receiveResponseXML>", "-1"),
        ("<receiveResponseXML><ticket>none</ticket></receiveResponseXML>", "-1"),
        ("<receiveResponseXML><ticket>far</ticket></receiveResponseXML>", "-1"),
        ("<connectionError><ticket>fail</ticket></connectionError>", "done"),
        (
            "<getLastError><ticket>fail</ticket></getLastError>",
            "The server had a problem. Nothing was lost; it will try again at the next run.",
        ),
        (
            "<closeConnection><ticket>fail</ticket></closeConnection>",
            "The server had a problem. Nothing was lost; it will try again at the next run.",
        ),
    ],
)
def test_a_failing_handler_is_answered(server: Server, call: str, expected: str) -> None:
    assert result(server, call) == expected


def test_a_failing_login_leaves_no_password_in_the_log(server: Server) -> None:
    call = f"<authenticate><strUserName>fail</strUserName><strPassword>{PASSWORD}</strPassword></authenticate>"
    reply = server.post(envelope(call))
    assert b"<tns:string></tns:string><tns:string>busy</tns:string>" in reply.body
    server.post(envelope(call) + b"<")
    server.post(envelope(f"<unknown>{PASSWORD}</unknown>"))
    log = server.log.read_text(errors="replace")
    assert "soap_handler_failed" in log
    assert "Traceback" in log or "fake_service.py" in log
    assert PASSWORD not in log
