"""Every page of a company with everything in it: what people read on it, and that no long word breaks its layout."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser

from store import companies, list_syncs
from store.tables import Export, Incident
from tests.support import stores

from .conftest import World, a_world
from .played import UNKNOWN, Played
from .test_document_states import a_bill
from .test_documents_pages import an_invoice

WORD = "Lindenstrassenbahn" * 11 + "ab"
"""200 characters without a place to break."""
SECTIONS = ("charges", "customers", "carriers", "terms", "classes", "defaults")
BILLS = ("bil_done", "bil_failed", "bil_wrong")
INVOICES = ("inv_done", "inv_failed", "inv_unknown", "inv_wrong", "inv_pending", "inv_cancelled", "inv_gone")
WIDTHS = (360, 768, 1280)
TAG = re.compile(r"<[^>]+>")
SAID = re.compile(r'(?:title|placeholder|aria-label|alt)="([^"]*)"')
PATTERN = re.compile(r"\^\[|\[A-Z|\[a-z|\\[dws]|\{\d+,\d*\}")
ISO = re.compile(r".{0,60}\b\d{4}-\d{2}-\d{2}\b.{0,20}")
TOO_WIDE = """() => {
  const page = document.documentElement;
  if (page.scrollWidth <= page.clientWidth) return null;
  const edge = page.clientWidth + 1;
  const all = [...document.querySelectorAll("body *")];
  const wide = all.filter((one) => one.getBoundingClientRect().right > edge).slice(0, 6);
  return `${page.scrollWidth} of ${page.clientWidth}: ` + wide.map((one) => one.outerHTML.slice(0, 160)).join("\\n");
}"""


@dataclass(frozen=True, kw_only=True)
class Everything:
    """A served company and the addresses of its pages."""

    world: World

    @property
    def pages(self) -> list[str]:
        """Every page that somebody signed in by a key can open."""
        here = "/c/acme"
        return [
            "/companies",
            "/companies/new",
            "/nowhere",
            *(f"{here}/connect{step}" for step in ("", "/ready", "/file", "/allow", "/wait")),
            f"{here}/connection",
            f"{here}/mapping-changes",
            *(f"{here}/mapping/{section}" for section in SECTIONS),
            *(f"{here}/mapping/{section}/paste" for section in SECTIONS if section != "defaults"),
            f"{here}/documents",
            *self.documents,
        ]

    @property
    def documents(self) -> list[str]:
        """The pages of single documents."""
        return [
            *(f"/c/acme/documents/invoice/{one}" for one in INVOICES),
            *(f"/c/acme/documents/carrier_bill/{one}" for one in BILLS),
        ]


def _spoken(document: dict[str, object]) -> dict[str, object]:
    """A document with the long word wherever somebody may type one."""
    party = "carrier" if document["kind"] == "carrier_bill" else "customer"
    lines = document["lines"]
    assert isinstance(lines, list)
    return {
        **document,
        "number": f"{document['id']}"[-4:].upper() + WORD[:40],
        party: {"id": WORD[:60], "name": WORD},
        "memo": WORD,
        "references": {"load": WORD[:60], "pro": WORD[:60], "bol": WORD[:60], "customer_po": WORD[:60]},
        "lines": [{**line, "charge": WORD[:60], "description": WORD} for line in lines],
    }


def _fill(world: World) -> None:
    played = Played(world)
    played.map()
    done, failed, unknown, pending, cancelled, gone = (
        an_invoice(f"inv_{name}", number=f"90{n}", memo=WORD)
        for n, name in enumerate(("done", "failed", "unknown", "pending", "cancelled", "gone"))
    )
    bill, bad_bill = (a_bill(f"bil_{name}", number=f"80{n}") for n, name in enumerate(("done", "failed")))
    wrong, wrong_bill = _spoken(an_invoice("inv_wrong")), _spoken(a_bill("bil_wrong"))
    played.hand_over(done, failed, unknown, pending, cancelled, gone, bill, bad_bill, wrong, wrong_bill)
    for one in (done, gone, bill):
        played.export(one)
    played.run_web_connector()
    for one in (failed, unknown, bad_bill, pending, cancelled):
        played.export(one)
    refusal = UNKNOWN.model_copy(update={"code": "3140", "message": f"There is an invalid reference {WORD}."})
    played.fail("inv_failed", refusal)
    played.fail("bil_failed", refusal, kind="carrier_bill")
    played.fail("inv_unknown", UNKNOWN, was_sent=True)
    # Handed over anew with other content: QuickBooks' values stand beside the TMS's.
    played.hand_over({**done, "memo": f"{WORD} 2", "date": "2026-11-21"})
    now = world.clock()
    with world.database.transaction() as session:
        row = companies.company(session, "acme")
        assert row is not None
        row.name = WORD
        row.bound_company_name = WORD
        row.bound_company_file = f"C:\\{WORD}\\{WORD}.qbw"
        row.rebind_requested_at = now
        row.problem = {
            "code": "wrong_company_file",
            "cause": f"Another company file is open: {WORD}.qbw.",
            "owner": "bookkeeper",
            "next_step": f"Open {WORD}.",
            "at": now.isoformat(),
        }
        text = f"QuickBooks says {WORD} since 2026-11-20."
        session.add(Incident(company_id="acme", at=now, code="restored", text=text))
        found = session.query(Export).filter_by(document_id="inv_gone").one()
        found.missing_since = now
        sync = list_syncs.request_sync(session, "acme", at=now, full=False)
        sync.note = WORD


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory, migrated: bytes) -> Iterator[Everything]:
    """One server for all tests of this file."""
    with a_world(tmp_path_factory.mktemp("everything") / "qbd.sqlite", migrated, stores.Clock()) as world:
        _fill(world)
        yield Everything(world=world)


def test_no_page_scrolls_sideways(everything: Everything, browser: Browser) -> None:
    """Each page at the width of a phone, a tablet and a PC, with a word of 200 characters in every text."""
    context = browser.new_context()
    client = everything.world.signed_in()
    context.add_cookies(
        [{"name": one.name, "value": one.value or "", "url": everything.world.origin} for one in client.cookies.jar]
    )
    page = context.new_page()
    too_wide = {}
    for address in everything.pages:
        page.goto(everything.world.origin + address, wait_until="domcontentloaded")
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            if found := page.evaluate(TOO_WIDE):
                too_wide[address, width] = found
    context.close()
    assert not too_wide


def _read(html: str) -> str:
    """What a person reads or hears of a page: the content without what leads there."""
    # What QuickBooks was sent to the letter stands for staff in frames of its own.
    left_out = r'<nav class="crumbs".*?</nav>|<pre class="exchange".*?</pre>'
    main = re.sub(left_out, "", html.partition("<main")[2], flags=re.S)
    heard = " ".join(SAID.findall(main))
    return re.sub(r"\s+", " ", f"{TAG.sub(' ', main)} {heard}")


def test_people_read_no_patterns_no_days_in_digits_and_no_ids(everything: Everything) -> None:
    """On every page, for staff and for a bookkeeper; ids of documents are shown to staff alone."""
    staff, bookkeeper = everything.world.signed_in(), everything.world.by_link()
    found = []
    for address in everything.pages:
        for client in (staff, bookkeeper):
            if client is bookkeeper and not address.startswith("/c/"):
                continue
            answer = client.get(address, headers={"Accept": "text/html"})
            assert answer.status_code == (404 if address == "/nowhere" else 200), address
            text = _read(answer.text)
            found += [(address, one) for one in PATTERN.findall(text) + ISO.findall(text)]
            if client is bookkeeper:
                found += [(address, one) for one in (*INVOICES, *BILLS) if one in text]
    assert not found, found


def test_a_bill_is_never_called_an_invoice(everything: Everything) -> None:
    """Neither in the words of a page nor of what went wrong on it."""
    client = everything.world.by_link()
    for one in BILLS:
        text = _read(client.get(f"/c/acme/documents/carrier_bill/{one}").text)
        assert "Bill Export Status" in text
        assert re.findall(r"[^.]{0,60}\binvoices?\b[^.]{0,40}", text, re.I) == [], one


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"name": "New Freight", "company_id": "a b"}, "letters, digits, dots"),
        ({"name": "N" * 300}, "at most 200 characters"),
        ({"name": "New Freight", "country": "XX"}, "Choose the edition"),
    ],
)
def test_a_refused_form_speaks_of_its_fields(everything: Everything, form: dict[str, str], says: str) -> None:
    """And not of the patterns behind them."""
    client = everything.world.signed_in()
    token = re.search(r'name="form_token" value="([0-9a-f]+)"', client.get("/companies/new").text)
    assert token is not None
    sent = {"release": "Enterprise 24.0", **form, "form_token": token[1]}
    answer = client.post("/companies/new", data=sent, headers={"Origin": everything.world.origin})
    text = _read(answer.text)
    assert (answer.status_code, says in text) == (422, True), text
    assert not PATTERN.search(text)
