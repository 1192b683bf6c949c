from __future__ import annotations

import time

import pytest
from lxml import etree

from tests.soap.server_process import SOAP11, Server, envelope

GOOD = envelope("<getLastError><ticket>t</ticket></getLastError>").decode()
BOMB = "".join(f'<!ENTITY {chr(98 + level)} "{f"&{chr(97 + level)};" * 10}">' for level in range(9))


def with_doctype(subset: str) -> str:
    return GOOD.replace("?>", f"?><!DOCTYPE x {subset}>", 1).replace(">t<", ">&j;<")


BODIES: dict[str, bytes] = {
    "empty": b"",
    "white space": b"  \r\n",
    "not XML": b"hello there",
    "json": b'{"authenticate": 1}',
    "truncated": GOOD.encode()[:-10],
    "doctype": GOOD.replace("?>", "?><!DOCTYPE x>", 1).encode(),
    "doctype in UTF-16": with_doctype("").replace("utf-8", "utf-16").encode("utf-16"),
    "doctype in UTF-16 without declaration": with_doctype("").partition("?>")[2].encode("utf-16"),
    "external entity": with_doctype('[<!ENTITY j SYSTEM "file:///etc/hostname">]').encode(),
    "external subset": with_doctype('SYSTEM "http://localhost:1/x.dtd"').encode(),
    "entity bomb": with_doctype(f'[<!ENTITY a "aaaaaaaaaa">{BOMB}]').encode(),
    "20 MB": envelope(f"<getLastError><ticket>{'x' * 20_000_000}</ticket></getLastError>"),
    "deep": b"<a>" * 3_000_000,
    "many elements": GOOD.replace(">t<", ">" + "<b/>" * 1_000_000 + "<").encode(),
    "many attributes": GOOD.replace(
        "<ticket>", "<ticket " + " ".join(f'a{i}=""' for i in range(50_000)) + ">"
    ).encode(),
    "unknown method": envelope("<dropTables><ticket>t</ticket></dropTables>"),
    "wrong namespace": envelope("<getLastError/>", namespace="http://developer.intuit.com"),
    "no namespace": GOOD.replace(' xmlns="http://developer.intuit.com/"', "").encode(),
    "SOAP 1.2": envelope("<getLastError/>", soap="http://www.w3.org/2003/05/soap-envelope"),
    "no envelope": b"<getLastError/>",
    "empty soap body": f'<s:Envelope xmlns:s="{SOAP11}"><s:Body/></s:Envelope>'.encode(),
    "no soap body": f'<s:Envelope xmlns:s="{SOAP11}"/>'.encode(),
    "two calls": GOOD.replace("</soap:Body>", "<b/></soap:Body>").encode(),
    "NUL bytes": GOOD.replace(">t<", ">\0<").encode(),
}


@pytest.mark.parametrize("name", BODIES)
def test_hostile_body_is_refused_quickly_with_a_fault(server: Server, name: str) -> None:
    before = len(server.calls())
    started = time.monotonic()
    reply = server.post(BODIES[name])
    assert time.monotonic() - started < 1.0
    assert reply.status == 500
    assert reply.headers["content-type"] == "text/xml; charset=utf-8"
    fault = etree.fromstring(reply.body).find(f"{{{SOAP11}}}Body/{{{SOAP11}}}Fault")
    assert fault is not None
    assert fault.findtext("faultcode") == ("soap:VersionMismatch" if name == "SOAP 1.2" else "soap:Client")
    assert fault.findtext("faultstring")
    assert b"Traceback" not in reply.body and b".py" not in reply.body
    assert len(server.calls()) == before
    assert server.request("GET", "/healthz").status == 200
    assert server.post(GOOD.encode()).status == 200


def test_large_chunked_body_is_refused_while_reading(server: Server) -> None:
    reply = server.post((b"x" * 1_000_000 for _ in range(20)), encode_chunked=True)
    assert reply.status == 500
    assert b"too large" in reply.body
    assert server.post(GOOD.encode()).status == 200
