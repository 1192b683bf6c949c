"""A call is read as any XML parser would read it: the texts of its parameters, whatever stands around them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from qbwc_bridge.envelope import SOAP_NAMESPACE, Call, read_envelope
from qbwc_bridge.wsdl import NAMESPACE, OPERATIONS

TYPE = "text/xml; charset=utf-8"
NAMES = {operation.name: [name for name, _ in operation.parameters] for operation in OPERATIONS}
PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], include_characters="\t\n"))
TEXTS = PLAIN | st.sampled_from(["<InvoiceAddRq/>", "]]>", "&amp;", " ", "é" * 300_000])
AROUND = st.sampled_from(["", "\n    ", "text between", "<!-- a comment -->", "<?an instruction?>"])


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(sorted(NAMES)))
def test_a_call_is_what_its_elements_say(data: st.DataObject, method: str) -> None:
    call = etree.Element(f"{{{NAMESPACE}}}{method}")
    names = data.draw(st.lists(st.sampled_from([*NAMES[method], "unknown"]), max_size=8))
    for name in names:
        parameter = etree.SubElement(call, f"{{{NAMESPACE}}}{name}")
        parameter.text = data.draw(TEXTS)
        if data.draw(st.booleans()):
            etree.SubElement(parameter, "child").text = data.draw(TEXTS)
    space = data.draw(AROUND)
    inner = etree.tostring(call, encoding="unicode").replace(f"</{method}>", f"{space}</{method}>")
    body = (
        f'<?xml version="1.0"?>{space if "text" not in space else ""}<s:Envelope xmlns:s="{SOAP_NAMESPACE}">'
        f"<s:Header><x/></s:Header>{space}<s:Body>{space}{inner}{space}</s:Body></s:Envelope>"
    ).encode()
    [element] = etree.fromstring(body, etree.XMLParser(huge_tree=True)).iterfind(f"{{{SOAP_NAMESPACE}}}Body/*")
    expected = {etree.QName(one).localname: one.text or "" for one in element.iterchildren("*")}
    assert read_envelope(body, TYPE) == Call(method, expected)
