"""Values that try to be more than values: markup, paths, headers."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from store import secrets
from store.tables import ApiKey
from tests.api.conftest import NOW, World, an_invoice

HOSTILE = (
    "</Memo></InvoiceAdd><CustomerDelRq/><!--",
    "]]><x/>",
    "<?qbxml version='1.0'?>",
    "&#0;&lt;&amp;lt;",
    '" onload="x',
    "&e;",
)


async def test_markup_in_values_stays_text(world: World) -> None:
    """The qbXML of a hostile document has the elements of a tame one, and the texts are texts."""
    await world.connect()

    async def qbxml(**texts: Any) -> etree._Element:
        line = {"id": "1", "charge": "LINEHAUL", "amount": "1.00", "description": texts.pop("line", "tame")}
        document = an_invoice(lines=[line], total="1.00", **texts)
        answer = await world.http.post("/v1/companies/acme/exports/preview", json={"document": document})
        assert answer.status_code == 200
        assert answer.json()["qbxml"], answer.json()
        return etree.fromstring(answer.json()["qbxml"])

    tame = [node.tag for node in (await qbxml(memo="tame")).iter()]
    for text in HOSTILE:
        root = await qbxml(memo=text, line=text)
        assert [node.tag for node in root.iter()] == tame
        assert any(text.split("&")[0] in (node.text or "") for node in root.iter())


@pytest.mark.parametrize(
    "bad",
    ["..", ".", "../x", "a/b", "a\\b", "a b", "a\x00", "a\n", "%2e%2e", "a%00", "", "x" * 65, "a;b", 'a"', "\u00e9"],
)
async def test_ids_are_ids(world: World, bad: str) -> None:
    """Companies and documents alike: nothing that could leave a path, a header or a file name."""
    made = await world.http.post("/v1/companies", json={"id": bad, "name": "n", "quickbooks_release": "2024"})
    assert made.status_code == 422
    await world.connect()
    assert (await world.export(an_invoice(id=bad))).status_code == 422


async def test_the_qwc_file_is_for_keys_of_its_company_and_holds_no_password(world: World) -> None:
    made = await world.connect()
    await world.connect("other")
    with world.database.transaction() as session:
        key_hash = secrets.fingerprint("theirs")
        session.add(ApiKey(id="k9", name="theirs", key_hash=key_hash, created_at=NOW, company_id="other"))
    theirs = {"Authorization": "Bearer theirs"}
    assert (await world.http.get("/v1/companies/acme/qwc", headers=theirs)).status_code == 404
    assert (await world.http.get("/v1/companies/acme/qwc", headers={"Authorization": ""})).status_code == 401
    file = await world.http.get("/v1/companies/acme/qwc")
    assert file.headers["content-disposition"] == 'attachment; filename="acme.qwc"'
    assert made["password"] not in file.text


@pytest.mark.parametrize("word", ["nvu", "NONE", "busy"])
async def test_a_company_file_is_no_word_of_the_web_connector(world: World, word: str) -> None:
    await world.connect()
    answer = await world.http.patch("/v1/companies/acme", json={"company_file": word})
    assert answer.status_code == 422
