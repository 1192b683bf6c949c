"""Incremental sync against random work in QuickBooks: after calm sessions the store holds what the file holds.

People add, change, rename, deactivate, delete and merge entries, set the clock of their computer, put a backup back;
sessions are cut anywhere. A failing seed replays exactly.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from qbwc_bridge.session import Limits
from simulator.company import CompanyFile
from simulator.records import Account, ClassObject, Customer, Item, ListObject, Vendor
from simulator.sample_company import freight_company
from store.engine import Database
from tests.support import lists, stores
from tests.support.direct import DirectWire
from tests.support.world import World

SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(4, 100))]
STEPS = 12
CALM = timedelta(hours=26)
"""The longest time until a clock that was set back by some hours cannot hide a change any more."""


class Bookkeeper:
    """Works in the company file, by chance."""

    def __init__(self, book: CompanyFile, draw: random.Random) -> None:
        self._book = book
        self._draw = draw
        self._number = 0

    def work(self) -> str:
        """Do one thing; gives what it was."""
        actions = (self.add, self.add, self.add_below, self.rename, self.rename, self.switch, self.delete, self.merge)
        action = self._draw.choice(actions)
        action()
        return action.__name__

    def add(self) -> None:
        name = self._name()
        income = next(entry for entry in self._book.state.accounts if entry.account_type == "Income")
        self._draw.choice(
            (
                lambda: self._book.add_customer(name),
                lambda: self._book.add_vendor(name),
                lambda: self._book.add_account(name, "Expense"),
                lambda: self._book.add_class(name),
                lambda: self._book.add_terms(name, 20),
                lambda: self._book.add_item(name, income),
                lambda: self._book.add_template(name),
            )
        )()

    def add_below(self) -> None:
        parent = self._one_of(Customer, ClassObject, Account)
        name = self._name()
        match parent:
            case Customer():
                self._book.add_customer(name, parent=parent)
            case ClassObject():
                self._book.add_class(name, parent=parent)
            case Account():
                self._book.add_account(name, parent.account_type, parent=parent)

    def rename(self) -> None:
        entry = self._one_of(Customer, Vendor, Account, ClassObject, Item)
        self._book.rename(entry.list_id, self._name())

    def switch(self) -> None:
        entry = self._one_of(Customer, Vendor, ClassObject, Item)
        self._book.set_active(entry.list_id, not entry.is_active)

    def delete(self) -> None:
        self._book.remove_entry(self._one_of(Customer, Vendor, ClassObject).list_id)

    def merge(self) -> None:
        entry = self._one_of(Customer, Vendor, ClassObject, Account)
        others = [one for one in self._book.entries() if type(one) is type(entry) and one is not entry]
        below = {one.list_id for one in self._book.below(entry.list_id)}
        others = [one for one in others if one.list_id not in below]
        if isinstance(entry, Account):
            others = [one for one in others if isinstance(one, Account) and one.account_type == entry.account_type]
        if others:
            self._book.merge_entries(entry.list_id, self._draw.choice(others).list_id)

    def _one_of(self, *types: type[ListObject]) -> Any:
        return self._draw.choice([entry for entry in self._book.entries() if isinstance(entry, types)])

    def _name(self) -> str:
        self._number += 1
        return self._draw.choice("aBéZm1") + f" {self._number}" + self._draw.choice(("", " & Co", " LLC"))


@pytest.mark.parametrize("seed", SEEDS)
def test_after_calm_sessions_the_store_holds_what_quickbooks_holds(database: Database, seed: int) -> None:
    draw = random.Random(seed)
    clock = stores.Clock()
    book = freight_company(clock=clock)
    for number, entry in enumerate(book.entries()):
        entry.time_modified = (clock.now - timedelta(hours=1) + timedelta(seconds=number)).isoformat()
    limits = Limits(list_page=draw.choice((7, 20, 200)))
    world = World(database, clock, limits=limits, lists_are_here=False, quickbooks=book)
    wire: Any = DirectWire(world.dispatcher)
    world.connector.http = wire
    person = Bookkeeper(book, draw)
    done: list[str] = []
    backup = book.snapshot()
    post = wire.post

    def busy(*args: Any, **kwargs: Any) -> Any:
        clock.forward(seconds=draw.choice((0, 1, 7)))
        if draw.random() < 0.15:
            done.append(f"meanwhile {person.work()}")
        return post(*args, **kwargs)

    wire.post = busy
    for _ in range(STEPS):
        for _ in range(draw.randrange(4)):
            done.append(person.work())
            clock.forward(seconds=draw.choice((0, 1, 50)))
        if draw.random() < 0.2:
            hours = draw.choice((-3, -1, 1, 2))
            book.move_clock(timedelta(hours=hours))
            done.append(f"clock {hours:+}")
        if draw.random() < 0.1:
            backup = book.snapshot()
        if draw.random() < 0.05:
            stamp = book.state.data_ext
            book.restore(backup)
            book.state.data_ext = stamp
            done.append("restore")
        if draw.random() < 0.5:
            method = draw.choice(("sendRequestXML", "receiveResponseXML"))
            getattr(world.cuts, draw.choice(("before", "after")))(method, draw.randrange(1, 9))
        clock.forward(minutes=draw.choice((0, 45, 45, 600)))
        world.update()
    world.cuts.rules.clear()
    wire.post = post
    for _ in range(3):
        clock.now += CALM
        for _ in range(20):
            if world.update().outcome == "none":
                break
    assert lists.sync_of(database).state == "done"
    assert lists.in_store(database) == lists.in_quickbooks(book), done
    living = {list_id for _, list_id in lists.in_quickbooks(book)}
    assert not lists.gone(database) & living
    world.close()
