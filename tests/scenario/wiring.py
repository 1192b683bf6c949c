"""What the bridge runs on: a network and a database that fail on demand, one SOAP layer, and the broken build."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy.orm import Session as DatabaseSession

from qbwc_bridge.dispatcher import Dispatcher
from qbwc_bridge.wsgi import build_wsgi
from store import queue, states
from store.engine import Database, Passing
from store.tables import Company, WebConnectorSession
from tests.support import stores
from tests.support.world import BASE

Place = tuple[str, int]
"""The nth call of a method."""
Action = Callable[[], None]


class KilledError(RuntimeError):
    """The bridge died here: nothing of its transaction may remain."""


class Fuse:
    """Kills the bridge once, at the nth time that it passes a point."""

    def __init__(self) -> None:
        self._left: dict[str, int] = {}
        self.has_blown = False
        """The bridge died in the call that is under way: whoever waits for its reply gets none."""

    def arm(self, point: str, nth: int) -> None:
        """Die at the nth passing from now on."""
        self._left[point] = nth

    def disarm(self) -> None:
        """Die no more."""
        self._left.clear()

    def passing(self, point: str) -> None:
        """Pass a point, or die at it."""
        if point in self._left:
            self._left[point] -= 1
            if self._left[point] == 0:
                del self._left[point]
                self.has_blown = True
                raise KilledError(point)


class Line:
    """The network between one Web Connector and the bridge: what goes over it can be repeated, held and overtaken."""

    def __init__(self, http: httpx.Client, fuse: Fuse) -> None:
        self._http = http
        self._fuse = fuse
        self.cookies = http.cookies
        self._counts: Counter[str] = Counter()
        self.before: dict[Place, list[Action]] = {}
        self.after: dict[Place, list[Action]] = {}
        self.repeats: dict[Place, bool] = {}
        self.reorders: set[int] = set()
        self.holds: dict[int, Callable[[bytes], None]] = {}
        self._overtaken: list[bytes] = []
        self.between: Action = lambda: None
        """What goes on elsewhere after each call."""
        self.meanwhile: Action = lambda: None
        """What happens beside every call."""
        self.tick: Action = lambda: None
        """How time goes on with every call."""

    def calm(self) -> None:
        """Forget all plans; the counts begin anew."""
        for plans in (self._counts, self.before, self.after, self.repeats, self.reorders, self.holds, self._overtaken):
            plans.clear()

    def post(self, url: str, *, content: bytes, headers: dict[str, str], follow_redirects: bool) -> httpx.Response:
        """Carry a call, as httpx.Client would."""
        self.tick()
        self.meanwhile()
        data = content
        method = headers["SOAPAction"].strip('"').rpartition("/")[2]
        self._counts[method] += 1
        place = (method, self._counts[method])
        for action in self.before.pop(place, ()):
            action()
        if method == "receiveResponseXML" and place[1] in self.holds:
            self.holds.pop(place[1])(data)
            raise httpx.ReadTimeout("held back by the network")
        reply = self.send(data, headers, url)
        if method == "receiveResponseXML" and place[1] in self.reorders:
            self._overtaken.append(data)
        if method == "sendRequestXML":
            # A call whose copy was held up in a proxy: it is delivered again when the session is already further.
            while self._overtaken:
                self.send(self._overtaken.pop(), headers_of("receiveResponseXML"), url)
        if place in self.repeats:
            second = self.send(data, headers, url)
            reply = second if self.repeats.pop(place) else reply
        for action in self.after.pop(place, ()):
            action()
        return reply

    def send(self, content: bytes, headers: dict[str, str], url: str = f"{BASE}/qbwc") -> httpx.Response:
        """One POST; the bridge answers legally whatever happens inside it."""
        reply = self._http.post(url, content=content, headers=headers, follow_redirects=False)
        assert reply.status_code == 200, f"HTTP {reply.status_code} after {headers['SOAPAction']}"
        if self._fuse.has_blown:
            self._fuse.has_blown = False
            raise httpx.RemoteProtocolError("the bridge died before it replied")
        self.between()
        return reply


def headers_of(method: str) -> dict[str, str]:
    return {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"http://developer.intuit.com/{method}"'}


class WithoutRecovery(Dispatcher):
    """The deliberately broken build: what got no answer is taken as never run, and sent again."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # It looks nothing up, so it cannot wait for a look-up before it splits a set either.
        self._answers._may_be_repeated = lambda *_: False  # type: ignore[method-assign]

    def _hand_out(self, session: DatabaseSession, owner: Company, wc: WebConnectorSession, **options: bool) -> str:
        unresolved = queue.unresolved_write_set(session, owner.id)
        if unresolved is not None:
            for request in queue.requests_of_set(session, unresolved.id):
                request.state, request.message_set_id = states.WAITING, None
            unresolved.state = states.ABANDONED
            session.flush()
        return super()._hand_out(session, owner, wc, **options)


class _Current:
    """Passes every call on to a dispatcher of the run that is under way."""

    choose: Callable[[str], Dispatcher]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        # Looked up at each call: spyne keeps what it gets here for longer than a run.
        def call(*values: str) -> Any:
            return getattr(self.choose(name), name)(*values)

        return call


CURRENT = _Current()


@functools.cache
def soap_layer() -> Any:
    """One for all runs: spyne never lets go of an application, and its many objects slow down every later run."""
    service: Any = CURRENT
    return build_wsgi(service, public_url=BASE, support_page=lambda _company: None)


def open_database(folder: Path, passing: Passing, url: str | None = None) -> Database:
    """The run's database, with an engine and connections of this caller's own: a file, or an empty one at `url`."""
    if url is not None:
        return Database(url, passing=passing)
    path = folder / "qbd.sqlite"
    if not path.exists():
        path.write_bytes(stores.migrated_file())
    database = Database(f"sqlite:///{path}", passing=passing)
    stores.hurry(database)  # a seed takes a third of the time
    return database
