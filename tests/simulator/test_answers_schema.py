import pytest

from simulator.tables import REQUESTS

EVERYTHING = "<ActiveStatus>All</ActiveStatus>"
QUERIES = [
    "<HostQueryRq/>",
    "<HostQueryRq><IncludeListMetaData><IncludeMaxCapacity>true</IncludeMaxCapacity></IncludeListMetaData></HostQueryRq>",
    "<CompanyQueryRq><OwnerID>{0A1B2C3D-0000-4000-8000-000000000001}</OwnerID></CompanyQueryRq>",
    "<PreferencesQueryRq/>",
    "<CompanyActivityQueryRq/>",
    '<CustomerQueryRq requestID="1" metaData="MetaDataAndResponseData" iterator="Start"><MaxReturned>2</MaxReturned>'
    "</CustomerQueryRq>",
    "<CustomerQueryRq><FullName>Nobody</FullName></CustomerQueryRq>",
    *(f"<{kind}QueryRq>{EVERYTHING}</{kind}QueryRq>" for kind in ("Customer", "Vendor", "Item", "Account", "Terms")),
    *(f"<{kind}QueryRq>{EVERYTHING}</{kind}QueryRq>" for kind in ("Class", "SalesTaxCode")),
    "<TemplateQueryRq/>",
    "<ListDeletedQueryRq><ListDelType>Customer</ListDelType><ListDelType>ItemService</ListDelType>"
    "</ListDeletedQueryRq>",
    "<InvoiceQueryRq><IncludeLineItems>true</IncludeLineItems></InvoiceQueryRq>",
    "<BillQueryRq><IncludeLineItems>true</IncludeLineItems></BillQueryRq>",
]


@pytest.mark.parametrize("version", ["13.0", "16.0"])
def test_every_kind_of_answer_is_valid(validate, desk, invoice, invoice_line, bill, version):
    desk.company.state.data_ext["{0A1B2C3D-0000-4000-8000-000000000001}"] = {"FileID": "{x}", "AppLock": "UNLOCKED"}
    desk.company.restore(desk.company.snapshot())
    lines = (
        invoice_line("Linehaul", "<Desc>R&#233;f</Desc><Quantity>3</Quantity><Rate>0.335</Rate>")
        + invoice_line("Discount", "<RatePercent>-5</RatePercent>")
        + invoice_line("TONU", "<Amount>250.00</Amount><ServiceDate>2026-06-01</ServiceDate><Other1>a</Other1>")
        + "<InvoiceLineAdd><Desc>Thank you</Desc></InvoiceLineAdd>"
    )
    full = invoice(
        before="<ClassRef><FullName>Asset</FullName></ClassRef>",
        between="<ShipAddress><Addr1>Dock 4</Addr1><City>Reno</City></ShipAddress><PONumber>1</PONumber><FOB>x</FOB>"
        "<Memo>m</Memo><CustomerSalesTaxCodeRef><FullName>Non</FullName></CustomerSalesTaxCodeRef><Other>o</Other>"
        "<ExternalGUID>{6F9619FF-8B86-D011-B42D-00C04FC964FF}</ExternalGUID>",
        lines=lines,
    )
    item = (
        "<ItemLineAdd><ItemRef><FullName>Carrier Linehaul</FullName></ItemRef><Cost>900</Cost><CustomerRef>"
        "<FullName>Cafe Rio Foods</FullName></CustomerRef><ClassRef><FullName>Asset</FullName></ClassRef></ItemLineAdd>"
    )
    desk.send(full + invoice() + invoice(customer="Nobody") + invoice(), attributes=' newMessageSetID="S1"')
    desk.send("", attributes=' newMessageSetID="S1" oldMessageSetID="S1"')
    desk.send("", attributes=' newMessageSetID="S2" oldMessageSetID="S2"')
    desk.send(bill() + bill(lines=item, head="<Memo>m</Memo>"))
    assert len(desk.company.ledger) == 4
    layover = next(item for item in desk.company.state.items if item.name == "Layover")
    for entry in (desk.company.state.customers[-1], layover):
        desk.company.remove_entry(entry.list_id)
    for query in QUERIES:
        assert desk.one(query).get("statusSeverity") != "Error", query
    produced = set()
    for answer in desk.answers:
        assert validate.errors(version, answer.encode()) == [], answer
        produced |= {name for name in REQUESTS if f"<{name[:-1]}s " in answer}
    assert produced == set(REQUESTS)
