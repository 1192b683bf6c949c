"""The contract of the Web Connector as data, and the WSDL document that states it.

Shapes and names: QuickBooks Web Connector Programmer's Guide, "QBWC web service reference"; by meaning the same
contract as Intuit's public eight-method WSDL (document/literal wrapped). The three interactive calls are in none of
the public WSDLs, so they are answered (`soap.py`) but not announced.
"""

from __future__ import annotations

from typing import NamedTuple

from lxml import etree

NAMESPACE = "http://developer.intuit.com/"  # the slash at the end belongs to it
_SCHEMA = "http://www.w3.org/2001/XMLSchema"
_WSDL = "http://schemas.xmlsoap.org/wsdl/"
_SOAP = "http://schemas.xmlsoap.org/wsdl/soap/"

STRING = "s:string"
INT = "s:int"
STRINGS = "tns:ArrayOfString"

_SERVICE = "QBWebConnectorSvc"
_PORT = "QBWebConnectorSvcSoap"


class Operation(NamedTuple):
    """One call: its name, its parameters in order with their types, the type of its result."""

    name: str
    parameters: tuple[tuple[str, str], ...]
    result: str = STRING
    announced: bool = True


def _texts(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, STRING) for name in names)


OPERATIONS: tuple[Operation, ...] = (
    Operation("serverVersion", ()),
    Operation("clientVersion", _texts("strVersion")),
    Operation("authenticate", _texts("strUserName", "strPassword"), STRINGS),
    Operation("connectionError", _texts("ticket", "hresult", "message")),
    Operation(
        "sendRequestXML",
        (
            *_texts("ticket", "strHCPResponse", "strCompanyFileName", "qbXMLCountry"),
            ("qbXMLMajorVers", INT),
            ("qbXMLMinorVers", INT),
        ),
    ),
    Operation("receiveResponseXML", _texts("ticket", "response", "hresult", "message"), INT),
    Operation("getLastError", _texts("ticket")),
    Operation("closeConnection", _texts("ticket")),
    Operation("getInteractiveURL", _texts("wcTicket", "sessionID"), announced=False),
    # Intuit's two samples disagree on the name of the poll, so both are answered.
    Operation("interactiveDone", _texts("wcTicket"), announced=False),
    Operation("isInteractiveDone", _texts("wcTicket"), announced=False),
    Operation("interactiveRejected", _texts("wcTicket", "reason"), announced=False),
)


def build_wsdl(address: str) -> bytes:
    """Give the WSDL 1.1 document whose service is found at `address`; the XML declaration comes first."""
    root = etree.Element(
        f"{{{_WSDL}}}definitions",
        {"name": _SERVICE, "targetNamespace": NAMESPACE},
        nsmap={"wsdl": _WSDL, "soap": _SOAP, "s": _SCHEMA, "tns": NAMESPACE},
    )
    operations = [operation for operation in OPERATIONS if operation.announced]
    _add_schema(root, operations)
    for operation in operations:
        for suffix, element in (("In", operation.name), ("Out", f"{operation.name}Response")):
            message = _add(root, _WSDL, "message", name=f"{operation.name}Soap{suffix}")
            # A part called "parameters" is what makes tools generate the wrapped style.
            _add(message, _WSDL, "part", name="parameters", element=f"tns:{element}")
    port_type = _add(root, _WSDL, "portType", name=_PORT)
    for operation in operations:
        node = _add(port_type, _WSDL, "operation", name=operation.name)
        _add(node, _WSDL, "input", message=f"tns:{operation.name}SoapIn")
        _add(node, _WSDL, "output", message=f"tns:{operation.name}SoapOut")
    binding = _add(root, _WSDL, "binding", name=_PORT, type=f"tns:{_PORT}")
    _add(binding, _SOAP, "binding", transport="http://schemas.xmlsoap.org/soap/http")
    for operation in operations:
        node = _add(binding, _WSDL, "operation", name=operation.name)
        _add(node, _SOAP, "operation", soapAction=NAMESPACE + operation.name, style="document")
        for direction in ("input", "output"):
            _add(_add(node, _WSDL, direction), _SOAP, "body", use="literal")
    port = _add(_add(root, _WSDL, "service", name=_SERVICE), _WSDL, "port", name=_PORT, binding=f"tns:{_PORT}")
    _add(port, _SOAP, "address", location=address)
    return etree.tostring(root, xml_declaration=True, encoding="utf-8")


def _add_schema(root: etree._Element, operations: list[Operation]) -> None:
    schema = _add(
        _add(root, _WSDL, "types"), _SCHEMA, "schema", elementFormDefault="qualified", targetNamespace=NAMESPACE
    )
    for operation in operations:
        request = _add(schema, _SCHEMA, "element", name=operation.name)
        request_type = _add(request, _SCHEMA, "complexType")
        if operation.parameters:
            sequence = _add(request_type, _SCHEMA, "sequence")
            for name, kind in operation.parameters:
                _add_member(sequence, name, kind)
        response = _add(schema, _SCHEMA, "element", name=f"{operation.name}Response")
        sequence = _add(_add(response, _SCHEMA, "complexType"), _SCHEMA, "sequence")
        _add_member(sequence, f"{operation.name}Result", operation.result)
    strings = _add(_add(schema, _SCHEMA, "complexType", name="ArrayOfString"), _SCHEMA, "sequence")
    attributes = {"minOccurs": "0", "maxOccurs": "unbounded", "nillable": "true"}
    _add(strings, _SCHEMA, "element", name="string", type=STRING, **attributes)


def _add_member(sequence: etree._Element, name: str, kind: str) -> None:
    """Add one parameter or result: texts may be absent, numbers may not."""
    _add(sequence, _SCHEMA, "element", minOccurs="1" if kind == INT else "0", maxOccurs="1", name=name, type=kind)


def _add(parent: etree._Element, namespace: str, tag: str, **attributes: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{namespace}}}{tag}", attributes)
