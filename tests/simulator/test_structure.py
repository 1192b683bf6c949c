import pytest

from simulator.errors import QuickBooksError
from simulator.structure import read_document
from simulator.tables import REQUESTS


def refusal(desk, text):
    with pytest.raises(QuickBooksError) as caught:
        desk.session.process_request(text)
    return caught.value.hresult


@pytest.mark.parametrize(
    ("change", "into"),
    [
        ("<TxnDate>2026-06-30</TxnDate><RefNumber>L100001</RefNumber>", "<RefNumber>1</RefNumber><TxnDate></TxnDate>"),
        ("<RefNumber>", "<Unknown/><RefNumber>"),
        ("<CustomerRef><FullName>Cafe Rio Foods</FullName></CustomerRef>", ""),
        ("<Quantity>1</Quantity>", "<Quantity><Deep/></Quantity>"),
        ("<Rate>1850.00</Rate>", "<Rate>1</Rate><RatePercent>1</RatePercent>"),
        ("L100001", "R&D"),
        ("InvoiceAddRq", "InvoiceFrobRq"),
        ('requestID="r1"', 'requestID="r1" iterator="Start"'),
        ('onError="stopOnError"', 'onError="rollbackOnError"'),
        ('onError="stopOnError"', ""),
        ('onError="stopOnError"', 'onError="stopOnError" responseData="some"'),
        ('<?qbxml version="13.0"?>', ""),
        ("<?xml", "\n<?xml"),
        ("L100001", "caf\u00e9"),
        ("<QBXML>", "<!DOCTYPE x><QBXML>"),
        ("<QBXML>", "<QBXML>text"),
    ],
)
def test_a_document_the_parser_refuses_runs_nothing(desk, invoice, change, into):
    text = desk.document(invoice())
    assert change in text
    changed = text.replace(change, into, 1) if change != "InvoiceAddRq" else text.replace(change, into)
    assert refusal(desk, changed) == "0x80040400"
    assert not desk.company.ledger


def test_one_bad_request_refuses_its_good_neighbours(desk, invoice):
    assert refusal(desk, desk.document(invoice() + "<CustomerQueryRq><Bogus/></CustomerQueryRq>")) == "0x80040400"
    assert not desk.company.ledger


def test_an_unsupported_version_is_refused(desk, invoice):
    assert refusal(desk, desk.document(invoice(), version="17.0")) == "0x80040423"


def test_an_element_newer_than_the_version_is_unknown(desk, bill):
    head = "<VendorAddress><Addr1>PO Box 1</Addr1></VendorAddress>"
    text = bill().replace("<TxnDate>", f"{head}<TxnDate>")
    assert desk.one(text).get("statusCode") == "0"
    assert refusal(desk, desk.document(text, version="12.0")) == "0x80040400"


def test_numeric_references_carry_what_literals_cannot(desk, invoice):
    answer = desk.one(invoice(customer="M&#252;ller &amp; S&#246;hne GmbH"))
    assert answer.findtext("InvoiceRet/CustomerRef/FullName") == "Müller & Söhne GmbH"


def test_literals_beyond_ascii_pass_when_switched_on(desk, invoice):
    desk.company.switches.refuse_literal_non_ascii = False
    assert desk.one(invoice(customer="Müller &amp; Söhne GmbH")).get("statusCode") == "0"


def test_text_outside_windows_1252_becomes_question_marks(desk, invoice):
    answer = desk.one(invoice(between="<Memo>&#28450; &#233;</Memo>"))
    assert answer.findtext("InvoiceRet/Memo") == "? é"


@pytest.mark.parametrize("version", ["13.0", "16.0"])
def test_the_order_tables_agree_with_the_schemas(validate, version):
    """What the tables accept, the schemas accept: one document per request with every element once."""
    for name, model in REQUESTS.items():
        body = f"<{name}>{everything(model)}</{name}>"
        text = (
            f'<?xml version="1.0"?><?qbxml version="{version}"?>'
            f'<QBXML><QBXMLMsgsRq onError="stopOnError">{body}</QBXMLMsgsRq></QBXML>'
        )
        assert validate.errors(version, text.encode()) == [], name
        assert len(read_document(text, abroad=True).requests) == 1


SAMPLES = {
    "amt": "1.00",
    "price": "1.00",
    "pct": "1",
    "quan": "1",
    "bool": "true",
    "date": "2026-07-01",
    "datetime": "2026-07-01T00:00:00",
    "guid": "{6F9619FF-8B86-D011-B42D-00C04FC964FF}",
    "int": "1",
    "float": "1",
    "id": "80000001-1",
}
ENUMS = {"AccountType": "Income", "DateMacro": "Today"}


def everything(model):
    out = []
    for part in model.parts:
        if hasattr(part, "branches"):
            out.append(everything(part.branches[-1]))
            continue
        if part.content is not None:
            inner = everything(part.content)
        elif part.type.startswith("enum"):
            inner = part.type[5:-1].split("|")[0]
        else:
            inner = ENUMS.get(part.name) or SAMPLES.get(part.type, "x")
        out.append(f"<{part.name}>{inner}</{part.name}>")
    return "".join(out)
