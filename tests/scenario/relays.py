"""Two relays at once on one outbox, without Temporal: they take turns, overtake each other, die and let go by seed.

What stands in Temporal's place only listens: it keeps what each workflow was told, in the order in which it was told.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from temporalio.client import Client

from qbwc_bridge.relay import LEASE_S, Relay
from store import outbox
from store.engine import Database
from store.tables import OutboxSignal
from tests.support import stores
from workflows.contracts import SYNC_PREFIX

TURNS = {"none": 10, "deliver": 2, "overtaken": 4, "dies": 3, "lets go": 1}
"""What a relay may do between two calls, and how often."""
ROUNDS = 20


class _DiedError(Exception):
    """The process of this relay ended here."""


class Listener:
    """In Temporal's place: hears each signal, and lets a plan strike at one of them."""

    def __init__(self) -> None:
        self.heard: dict[str, list[str]] = {}
        self.strike: tuple[int, Callable[[], Awaitable[None]]] | None = None

    async def start_workflow(self, *_: Any, **__: Any) -> _Handle:
        """A sync of lists: what it is told is not in any order that matters."""
        return _Handle(self, SYNC_PREFIX)

    def get_workflow_handle(self, workflow_id: str) -> _Handle:
        return _Handle(self, workflow_id)

    async def hear(self, workflow_id: str, what: str) -> None:
        if self.strike is not None:
            left, action = self.strike
            self.strike = None if left == 0 else (left - 1, action)
            if left == 0:
                await action()
        self.heard.setdefault(workflow_id, []).append(what)


class _Handle:
    result_run_id: str | None = None

    def __init__(self, listener: Listener, workflow_id: str) -> None:
        self._listener = listener
        self._workflow_id = workflow_id

    async def signal(self, name: str, payload: dict[str, Any], *, rpc_timeout: timedelta) -> None:
        assert rpc_timeout
        await self._listener.hear(self._workflow_id, _name(name, payload))


class Relays:
    """One relay for each database engine."""

    def __init__(self, databases: list[Database], clock: stores.Clock, draw: random.Random) -> None:
        self._databases = databases
        self._clock = clock
        self._draw = draw
        self._names = stores.counter("relay")
        self._listener = Listener()
        self._client = cast("Client", self._listener)
        self._relays = [self._relay(database) for database in databases]
        self._runner = asyncio.Runner()
        self.turns: dict[str, int] = dict.fromkeys(TURNS, 0)  # that struck

    def turn(self) -> None:
        """Let something happen to the outbox, as the seed wants it."""
        [what] = self._draw.choices(list(TURNS), list(TURNS.values()))
        if what != "none":
            self._runner.run(self._turn(what, self._draw.randrange(len(self._relays)), self._draw.randrange(3)))

    def check_the_end(self) -> None:
        """Everything was told, and each workflow heard each thing for the first time in its order."""
        for _ in range(ROUNDS):
            self._clock.forward(minutes=1)
            self._runner.run(self._relays[0].deliver_once(self._client))
            with self._databases[0].transaction() as session:
                if not outbox.count_undelivered(session):
                    break
        with self._databases[0].transaction() as session:
            rows = list(session.scalars(select(OutboxSignal).order_by(OutboxSignal.id)))
        wanted: dict[str, list[str]] = {}
        for row in rows:
            assert row.delivered_at is not None, f"{row.signal} of {row.workflow_id} was never told"
            if not row.workflow_id.startswith(SYNC_PREFIX):
                wanted.setdefault(row.workflow_id, []).append(_name(row.signal, row.payload))
        firsts = {workflow: list(dict.fromkeys(heard)) for workflow, heard in self._listener.heard.items()}
        assert firsts == wanted, f"told in another order: {firsts}, written as {wanted}"

    def close(self) -> None:
        self._runner.close()

    def _relay(self, database: Database) -> Relay:
        async def connect() -> Client:
            return self._client

        return Relay(database, connect, clock=self._clock, holder=self._names())

    async def _turn(self, what: str, number: int, place: int) -> None:
        relay = self._relays[number]
        if what == "overtaken":
            self._listener.strike = (place, lambda: self._overtake(number))
        elif what == "dies":
            self._listener.strike = (place, self._die)
        try:
            if what == "lets go":
                await asyncio.to_thread(relay._let_go)
            await relay.deliver_once(self._client)
            self.turns[what] += what in ("deliver", "lets go")
        except _DiedError:
            # Another process takes its place, with another name; the lease stays with the dead one.
            self._relays[number] = self._relay(self._databases[number])
            self.turns[what] += 1
        except OperationalError:
            pass  # its loop tries again
        self._listener.strike = None

    async def _overtake(self, number: int) -> None:
        """The first hangs in a call until its lease is over, and the other tells the same and more."""
        self.turns["overtaken"] += 1
        self._clock.forward(seconds=LEASE_S + 1)
        other = (number + 1) % len(self._relays)
        await self._relays[other].deliver_once(self._client)

    async def _die(self) -> None:
        raise _DiedError


def _name(signal: str, payload: dict[str, Any]) -> str:
    return f"{signal} {json.dumps(payload, sort_keys=True)}"
