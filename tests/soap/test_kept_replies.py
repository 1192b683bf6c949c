"""serverVersion and clientVersion are answered from memory: only they, only their own bytes, never a failure."""

from __future__ import annotations

import httpx

from benchmarks import canned
from qbwc_bridge.kept_replies import LONGEST, MOST, Kept, KeptReplies
from qbwc_bridge.wsgi import build_wsgi

from .fake_service import RecordingService

HEADERS = {"Content-Type": "text/xml; charset=utf-8"}


class Counting(RecordingService):
    """Counts what reaches it, and fails the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def server_version(self) -> str:
        self.asked += 1
        if self.asked == 1:
            raise RuntimeError("not yet")
        return f"answer {self.asked}"


def client(service: RecordingService) -> httpx.Client:
    wsgi = build_wsgi(service, public_url="http://localhost", support_page=lambda _company: None)
    return httpx.Client(transport=httpx.WSGITransport(app=wsgi), base_url="http://localhost", headers=HEADERS)


def test_a_good_reply_is_kept_and_a_failure_is_not() -> None:
    service = Counting()
    with client(service) as http:
        [server, _version] = canned.opening()
        texts = [http.post("/qbwc", content=server).text for _ in range(4)]
        spaced = http.post("/qbwc", content=server.replace(b"><", b"> <", 1)).text
    assert "answer" not in texts[0]
    assert "answer 2" in texts[1]
    assert texts[1] == texts[2] == texts[3]
    assert "answer 3" in spaced, "other bytes are another request"


def test_nothing_about_a_company_is_kept() -> None:
    kept = KeptReplies()
    for method in ("authenticate", "sendRequestXML", "receiveResponseXML", "getLastError", "closeConnection"):
        kept.keep(b"<x/>", "text/xml", Kept(method, b"<y/>"))
        assert kept.find(b"<x/>", "text/xml") is None


def test_memory_has_a_bound() -> None:
    kept = KeptReplies()
    kept.keep(b"x" * LONGEST, "text/xml", Kept("clientVersion", b"<y/>"))
    assert kept.find(b"x" * LONGEST, "text/xml") is None
    for number in range(MOST + 5):
        kept.keep(b"%d" % number, "", Kept("clientVersion", b"<y/>"))
    assert sum(kept.find(b"%d" % number, "") is not None for number in range(MOST + 5)) == MOST
