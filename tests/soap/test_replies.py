"""Replies are put together around the answers; they are byte for byte what spyne writes, and are read back as said."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from prometheus_client import CollectorRegistry

from qbwc_bridge.envelope import read_envelope
from qbwc_bridge.observing import CallObserver
from qbwc_bridge.soap import CallNotes, SoapServer, build_server, legal_text
from qbwc_bridge.wsdl import NAMESPACE
from simulator.soap import envelope
from telemetry.instruments import BridgeMetrics
from telemetry.tracing import Tracing
from tests.soap.fake_service import RecordingService

CALLS = {
    "serverVersion": [],
    "authenticate": [("strUserName", "jo"), ("strPassword", "x")],
    "receiveResponseXML": [("ticket", "t"), ("response", "r"), ("hresult", ""), ("message", "")],
}


class Told(RecordingService):
    """Answers what it was told to."""

    texts: tuple[str, ...] = ()
    number = 0

    def server_version(self) -> str:
        return self.texts[0]

    def authenticate(self, username: str, password: str, address: str = "", version: str = "") -> list[str]:
        return list(self.texts)

    def receive_response_xml(self, ticket: str, response: str, hresult: str, message: str) -> int:
        return self.number


def written_by_spyne(server: SoapServer, call: str) -> bytes:
    """Let spyne read the whole call and write the whole reply."""
    from spyne import MethodContext

    initial = MethodContext(server, MethodContext.SERVER)
    initial.in_string = [envelope(call, CALLS[call])]
    initial.udc = CallNotes()
    [ctx] = server.generate_contexts(initial, "utf-8")
    server.get_in_object(ctx)
    server.get_out_object(ctx)
    server.get_out_string(ctx)
    return b"".join(ctx.out_string)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text() | st.sampled_from(["\ue000", "a\r\nb\rc", "]]>&amp;<b>", "1234567890"]), min_size=2, max_size=4),
    st.integers(-(2**31), 100) | st.just(-1234567890),
)
def test_a_reply_is_what_spyne_writes_and_says_what_was_said(texts: list[str], number: int) -> None:
    told = Told()
    server = build_server(told, CallObserver(BridgeMetrics(CollectorRegistry()), Tracing()))
    for said, count in ((["", ""], 0), (texts, number)):  # a frame is made with other texts than the ones asserted
        told.texts, told.number = tuple(said), count
        replies = {
            call: server.answer(read_envelope(envelope(call, values), "text/xml; charset=utf-8"), CallNotes())
            for call, values in CALLS.items()
        }
    assert replies == {call: written_by_spyne(server, call) for call in CALLS}
    legal = [legal_text(text) for text in texts]
    for call, expected in {"serverVersion": legal[:1], "receiveResponseXML": [str(number)]}.items():
        assert [node.text or "" for node in _results(replies[call], call)] == expected
    [listed] = _results(replies["authenticate"], "authenticate")
    assert [node.text or "" for node in listed] == legal


def _results(reply: bytes, call: str) -> list[etree._Element]:
    return etree.fromstring(reply).findall(f".//{{{NAMESPACE}}}{call}Result")
