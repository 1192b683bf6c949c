"""What a seed decides before a run: documents, sessions and what goes wrong in them. Pure; nothing is done here."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from tests.scenario.harder_draws import DRAWS
from tests.support import stores

METHODS = ("", "authenticate", "sendRequestXML", "receiveResponseXML", "getLastError", "closeConnection")
"""Where the connection is cut; "" counts the calls of any method."""
LOST_TOUCH = ("0x80010108", "0x80040402", "0x8004040D", "0x800706BA", None)
"""How the Web Connector reports a QuickBooks that died; None when it died as well."""


STEPS = ("authenticate", "sendRequestXML", "receiveResponseXML", "connectionError", "closeConnection")
POINTS = ("clock", "id", *(f"{step}: {when} commit" for step in STEPS for when in ("before", "after")))
"""Where the bridge can die."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """One document of the TMS, and what will become of it."""

    company: int
    kind: str
    number: int
    fate: str
    """good | poison (QuickBooks cannot parse it) | broken (it is not even XML) | refused (3140)"""
    before_session: int
    again_before: int | None
    """It is queued a second time before this session."""

    @property
    def id(self) -> str:
        """Its id in the TMS."""
        return f"{'inv' if self.kind == 'invoice' else 'bill'}_{self.number}"

    def body(self) -> dict[str, Any]:
        """What the TMS posts."""
        if self.kind == "carrier_bill":
            amount = f"{1500 + self.number}.00"
            line = {"id": "1", "charge": "LINEHAUL", "description": "Linehaul", "amount": amount}
            return stores.a_bill(self.id, lines=[line], total=amount)
        amount, fuel = f"{1850 + self.number}.25", "212.50"
        lines = [
            {"id": "1", "charge": "LINEHAUL", "description": "Linehaul", "amount": amount},
            {"id": "2", "charge": "FUEL", "description": "Fuel surcharge", "amount": fuel},
        ]
        return stores.an_invoice(self.id, lines=lines, total=str(Decimal(amount) + Decimal(fuel)))


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong in one session.

    The name is that of a function of `faults` or `harder` without its `fault_`.
    """

    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Update:
    """One update session of one company, and its faults."""

    company: int
    pause_minutes: int
    faults: tuple[Fault, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that a seed decides before the run."""

    seed: int
    companies: int
    batch_size: int
    documents: tuple[Document, ...]
    updates: tuple[Update, ...]
    records_survive: bool
    """QuickBooks keeps its memory of message sets when a backup is put back; no source says which."""
    is_harder: bool = False
    """Faults of the harder world are among the others."""

    @classmethod
    def of(cls, seed: int, harder: Collection[str] = ()) -> Plan:
        """Draw the plan of a seed; with faults of `harder` in about half of its sessions, beside the others."""
        draw = random.Random(seed)
        companies, count = draw.choice((1, 1, 2)), draw.randint(4, 10)
        documents = tuple(_document(draw, number, companies, count) for number in range(1, draw.randint(3, 12) + 1))
        plan = cls(
            seed=seed,
            companies=companies,
            batch_size=draw.choice((1, 2, 3, 5, 20)),
            documents=documents,
            updates=tuple(_update(draw, companies, documents) for _ in range(count)),
            records_survive=draw.random() < 0.5,
        )
        return plan._made_harder(sorted(harder)) if harder else plan

    def _made_harder(self, names: list[str]) -> Plan:
        draw = random.Random(f"{self.seed}/harder")
        updates = []
        for update in self.updates:
            chosen = [draw.choice(names) for _ in range(draw.choices((0, 1, 2), (45, 40, 15))[0])]
            more = [
                Fault(name=name, arguments=DRAWS[name](draw, draw.choice(self.documents).number)) for name in chosen
            ]
            updates.append(replace(update, faults=(*update.faults, *more)))
        return replace(self, updates=tuple(updates), is_harder=True)

    def __str__(self) -> str:
        """As it is read beside a violation."""
        lines = [f"seed {self.seed}: {self.companies} companies, {self.batch_size} requests a set"]
        lines += [f"  {document}" for document in self.documents]
        lines += [f"  session {number}: {update}" for number, update in enumerate(self.updates)]
        return "\n".join(lines)


def _document(draw: random.Random, number: int, companies: int, sessions: int) -> Document:
    before = min(draw.randrange(sessions), draw.randrange(sessions))
    return Document(
        company=draw.randrange(companies),
        kind=draw.choice(("invoice", "invoice", "carrier_bill")),
        number=number,
        fate=draw.choices(("good", "poison", "broken", "refused"), (80, 7, 5, 8))[0],
        before_session=before,
        again_before=draw.randrange(before, sessions) if draw.random() < 0.25 else None,
    )


def _update(draw: random.Random, companies: int, documents: tuple[Document, ...]) -> Update:
    count = draw.choices((0, 1, 2, 3), (15, 45, 30, 10))[0]
    return Update(
        company=draw.randrange(companies),
        pause_minutes=draw.choice((1, 5, 15, 15, 60, 600)),
        faults=tuple(_fault(draw, draw.choice(documents).number) for _ in range(count)),
    )


def _fault(draw: random.Random, document: int) -> Fault:
    """Draw a fault; `document` is the one it is about, if it is about one."""
    touch, nth = draw.choice(LOST_TOUCH), draw.choice((1, 1, 1, 2, 3))
    is_seen, place = draw.random() < 0.5, draw.choice(("authenticate", "sendRequestXML", "session", "end"))
    choices: list[tuple[int, Fault]] = [
        (8, Fault(name="cut", arguments=(draw.choice(("before", "after")), draw.choice(METHODS), draw.randint(1, 4)))),
        (4, Fault(name="cut", arguments=(draw.choice(("before", "after")), "receiveResponseXML", nth))),
        (3, Fault(name="crash_before_commit", arguments=(touch,))),
        (5, Fault(name="crash_after_commits", arguments=(draw.randint(1, 4), touch))),
        (4, Fault(name="crash_before_record", arguments=(touch,))),
        (3, Fault(name="crash_after_record", arguments=(touch,))),
        (3, Fault(name="lose_record")),
        (2, Fault(name="lose_all_records")),
        (5, Fault(name="restore_backup", arguments=(draw.random() < 0.7,))),
        (4, Fault(name="foreign_file", arguments=(draw.randrange(3),))),
        (1, Fault(name="modal_dialog")),
        (1, Fault(name="wrong_file_open")),
        (1, Fault(name="single_user_conflict")),
        (3, Fault(name="lock", arguments=(document, draw.randint(1, 3)))),
        (3, Fault(name="user_edits", arguments=(draw.choice(("ref_number", "memo")),))),
        (2, Fault(name="user_deletes")),
        (2, Fault(name="list_change", arguments=(draw.choice(("rename", "inactivate", "remove")), draw.randrange(4)))),
        (2, Fault(name="user_types", arguments=(document,))),
        (4, Fault(name="repeat", arguments=("sendRequestXML", nth, is_seen))),
        (3, Fault(name="repeat", arguments=("receiveResponseXML", nth, is_seen))),
        (1, Fault(name="repeat", arguments=("authenticate", 1, is_seen))),
        (3, Fault(name="reorder", arguments=(nth,))),
        (5, Fault(name="late", arguments=(nth, place))),
        (4, Fault(name="second_connector", arguments=(nth, is_seen, draw.choice((0, 1, 5))))),
        (2, Fault(name="second_while_writing", arguments=(nth, is_seen))),
        (2, Fault(name="second_sign_in", arguments=(draw.choice(METHODS[2:4]), nth))),
        (6, Fault(name="killed", arguments=(draw.choice(POINTS), draw.choice((1, 1, 1, 2, 3))))),
    ]
    weights, faults = zip(*choices, strict=True)
    return draw.choices(faults, weights)[0]
