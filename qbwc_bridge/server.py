"""Serve a WSGI application until a signal ends it; a request takes a thread when it is whole, and not before.

One thread waits for all connections and reads what comes. A request that is half sent is a buffer there, and nothing
else: however many there are, and whoever sends them, whole requests find their threads. Pages (health, probes, support)
have threads of their own, so that they answer while every call waits for the database. Replies that nobody takes are
written by the one thread as well, as far as the network takes them.
"""

from __future__ import annotations

import errno
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import structlog

from qbwc_bridge import unfinished
from qbwc_bridge.connections import CONTINUE, Connection, environment, plain_reply, reply_of
from qbwc_bridge.http_requests import BadRequestError, Request
from qbwc_bridge.turns import PATIENCE_S, Workers
from qbwc_bridge.unfinished import Half
from qbwc_bridge.wsgi import BODY_BYTES_MAX, READY

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

#: Handlers mostly wait for the database; a thousand companies that poll each minute are under a hundred calls/s.
CALL_THREADS = 32
#: One at work, and one more that may wait for the database; the other threads help when both wait.
CALLS_AT_ONCE = 2
PAGE_THREADS = 4
CONNECTIONS_MAX = 2000
#: Files that a process needs besides connections.
OTHER_FILES = 128
#: Of a body that is too long, so many bytes are read and forgotten: a client that still sends would miss the answer.
FORGOTTEN_BYTES_MAX = 64 << 20
#: Between two looks at what takes too long.
SWEEP_S = 0.5
#: For calls under way once nobody is let in any more.
FINISH_S = 20.0
_READ_BYTES = 1 << 18
_BACKLOG = 1024
_AT_ONCE = 64

_log = structlog.get_logger(__name__)


class Server:
    """Listens on one address; `run` waits for all connections in the thread that calls it."""

    def __init__(
        self,
        application: WSGIApplication,
        listener: socket.socket,
        *,
        drain_s: float = 0,
        address_of: Callable[[Mapping[str, object]], str] | None = None,
        keep_max: int = BODY_BYTES_MAX,
        connections_max: int = CONNECTIONS_MAX,
    ) -> None:
        """`address_of` tells from a header (as PEP 3333 names it) whom limits count by; without it, the peer."""
        self._application = application
        self._listener = listener
        name = listener.getsockname()
        self._name = (str(name[0]), int(name[1]))
        self._drain_s = drain_s
        self._address_of = address_of
        self._keep_max = keep_max
        self._selector = selectors.DefaultSelector()
        self._waiting: dict[Connection, None] = {}
        """Registered with the selector, each; those that are answered are in `_answered_now`."""
        self._halves: set[Connection] = set()
        """Those whose header is here and whose body is not."""
        self._answered_now: set[Connection] = set()
        self._returned: deque[Connection] = deque()
        """From the threads that answer: there is more to write or to read, or it is over."""
        self._calls = Workers(self._answer, at_once=CALLS_AT_ONCE, count=CALL_THREADS)
        self._pages = Workers(self._answer, at_once=PAGE_THREADS, count=PAGE_THREADS)
        self._waker, self._woken = socket.socketpair()
        for one in (listener, self._waker, self._woken):
            one.setblocking(False)
        self._signals = 0
        self._ends_at: float | None = None
        """Draining: nobody is let in from then on."""
        self._is_closed = False
        self._connections_max = min(connections_max, _files_for_connections())

    @property
    def is_draining(self) -> bool:
        """Say whether it was told to end."""
        return self._signals > 0

    def told_to_end(self, *_signal: object) -> None:
        """Begin to end, or stop waiting; safe in a signal handler."""
        self._signals += 1
        self._wake()

    def run(self) -> None:
        """Serve until it was told to end, and what was under way is finished."""
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        swept_at = time.monotonic()
        while not self._is_over(time.monotonic()):
            is_busy = self._calls.help(time.monotonic())
            for key, _ in self._selector.select(PATIENCE_S if is_busy else SWEEP_S):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._woken:
                    self._take_back()
                else:
                    self._serve(key.data)
            now = time.monotonic()
            if now - swept_at >= SWEEP_S:
                swept_at = now
                self._sweep(now)
        for connection in list(self._waiting):
            self._end(connection)
        self._selector.close()

    def _is_over(self, now: float) -> bool:
        if not self._signals:
            return False
        if self._ends_at is None:
            self._ends_at = now + self._drain_s
        if now < self._ends_at and self._signals == 1:
            return False
        if not self._is_closed:
            self._is_closed, self._ends_at = True, min(now, self._ends_at)
            self._selector.unregister(self._listener)
            self._listener.close()
        has_work = self._answered_now or self._returned or self._halves or any(one.out for one in list(self._waiting))
        return not has_work or now >= self._ends_at + FINISH_S

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, peer = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    self._make_room()
                return  # otherwise the client has gone again
            sock.setblocking(False)
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(sock, str(peer[0]), keep_max=self._keep_max, now=time.monotonic())
            connection.address = self._whose(connection, b"")
            self._wait_for(connection)
            if len(self._waiting) + len(self._answered_now) > self._connections_max:
                self._make_room()

    def _make_room(self) -> None:
        """End the connection that was silent longest, of whoever has the most."""
        waiting = list(self._waiting)
        if waiting:
            address = unfinished.most_of_one([one.address for one in waiting])
            self._end(min((one for one in waiting if one.address == address), key=lambda one: one.progress_at))

    def _wait_for(self, connection: Connection) -> None:
        events = selectors.EVENT_WRITE if connection.out else selectors.EVENT_READ
        self._waiting[connection] = None
        try:
            self._selector.register(connection.socket, events, connection)
        except ValueError:  # it was ended a moment ago, to make room
            self._waiting.pop(connection, None)

    def _let_go(self, connection: Connection) -> None:
        self._waiting.pop(connection, None)
        with suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)

    def _end(self, connection: Connection) -> None:
        self._let_go(connection)
        self._halves.discard(connection)
        connection.socket.close()

    def _whose(self, connection: Connection, forwarded: bytes) -> str:
        if self._address_of is None:
            return connection.peer
        environ = {"REMOTE_ADDR": connection.peer, "HTTP_X_FORWARDED_FOR": forwarded.decode("latin-1")}
        return self._address_of(environ) or connection.peer

    def _serve(self, connection: Connection) -> None:
        """Write or read on, as far as that goes now."""
        if connection not in self._waiting:
            return  # it was ended a moment ago
        try:
            if connection.out:
                connection.write()
                if not connection.out:
                    self._let_go(connection)
                    self._after_reply(connection)
                return
            data = connection.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end(connection)
        elif not connection.lingers:
            now = connection.progress_at = time.monotonic()
            if not connection.reader.has_begun:
                connection.began_at = now
            connection.reader.receive(data)
            self._read_on(connection)

    def _read_on(self, connection: Connection) -> None:
        """See whether a request is whole: then it is for a thread. The connection is one of those that wait."""
        reader = connection.reader
        try:
            is_whole = reader.is_whole()
        except BadRequestError as error:
            _log.warning("request_refused", reason=str(error), address=connection.address)
            self._refuse(connection, error.status, str(error))
            return
        if not is_whole and reader.head is not None:
            announced = reader.head.length or 0
            if reader.body_bytes > FORGOTTEN_BYTES_MAX or (
                announced > self._keep_max and (reader.head.waits_for_continue or announced > FORGOTTEN_BYTES_MAX)
            ):
                connection.closes = is_whole = True
            elif connection not in self._halves:
                self._begin_half(connection)
        if is_whole:
            self._dispatch(connection)

    def _begin_half(self, connection: Connection) -> None:
        head = connection.reader.head
        assert head is not None  # noqa: S101
        self._halves.add(connection)
        forwarded = b",".join(value for name, value in head.fields if name == b"x-forwarded-for")
        connection.address = self._whose(connection, forwarded)
        if head.waits_for_continue and not connection.reader.body_bytes:
            try:
                connection.socket.send(CONTINUE)  # the first thing on this connection since its last reply was taken
            except OSError:
                self._end(connection)
                return
        self._keep_bounds(time.monotonic())

    def _dispatch(self, connection: Connection) -> None:
        self._let_go(connection)
        announced = connection.reader.head
        request = connection.reader.take()
        self._halves.discard(connection)
        if connection.closes and announced is not None and announced.length:
            # Not all of it came, nor shall it; the application is told what was announced.
            request = Request(head=request.head, body=b"", body_bytes=max(announced.length, request.body_bytes))
        connection.closes = connection.closes or request.head.closes or self._is_closed
        self._answered_now.add(connection)
        (self._calls if request.head.method == b"POST" else self._pages).put((connection, request))

    def _refuse(self, connection: Connection, status: str, reason: str) -> None:
        self._let_go(connection)
        self._halves.discard(connection)
        connection.closes = True
        try:
            connection.write(plain_reply(status, reason))
        except OSError:
            self._end(connection)
            return
        if connection.out:
            self._wait_for(connection)
        else:
            self._after_reply(connection)

    def _answer(self, work: tuple[Connection, Request]) -> None:
        connection, request = work
        try:
            environ = environment(request, connection, self._name)
            if self.is_draining and environ["PATH_INFO"] == READY:
                reply = plain_reply("503 Service Unavailable", "about to end")
                connection.closes = True
            else:
                reply = reply_of(self._application, environ, closes=connection.closes)
        except Exception as error:  # noqa: BLE001 the thread must live, and the client must hear of it
            _log.error("application_failed", error=type(error).__name__)
            reply = plain_reply("500 Internal Server Error", "The server had a problem.")
            connection.closes = True
        try:
            connection.write(reply)
        except OSError:
            connection.closes, connection.out = True, memoryview(b"")
        if connection.out or connection.closes or connection.reader.has_begun or self._is_closed:
            self._returned.append(connection)
            self._answered_now.discard(connection)
            self._wake()
            return
        self._answered_now.discard(connection)
        self._rest(connection)

    def _rest(self, connection: Connection) -> None:
        connection.has_asked = True
        connection.began_at = connection.progress_at = time.monotonic()
        self._wait_for(connection)

    def _take_back(self) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(4096)
        while self._returned:
            connection = self._returned.popleft()
            if connection.out:
                self._wait_for(connection)
            else:
                self._after_reply(connection)

    def _after_reply(self, connection: Connection) -> None:
        """Go on with a connection whose reply is written, and which nobody waits for."""
        if connection.closes or self._is_closed:
            self._linger(connection)
            return
        self._rest(connection)
        if connection.reader.has_begun:
            self._read_on(connection)

    def _linger(self, connection: Connection) -> None:
        """Close our side, and read on for a moment."""
        connection.lingers = connection.closes = True
        connection.progress_at = time.monotonic()
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            connection.socket.close()
            return
        self._wait_for(connection)

    def _sweep(self, now: float) -> None:
        for connection in list(self._waiting):
            if connection.deadline() <= now:
                if connection in self._halves:
                    self._refuse(connection, "408 Request Timeout", "The request took too long.")
                else:
                    self._end(connection)
            elif self._is_closed and not (connection in self._halves or connection.out or connection.lingers):
                self._end(connection)
        self._keep_bounds(now)

    def _keep_bounds(self, now: float) -> None:
        halves = [
            Half(
                key=one,
                address=one.address,
                age_s=now - one.began_at,
                came_bytes=one.reader.body_bytes,
                kept_bytes=one.reader.kept_bytes,
            )
            for one in self._halves
        ]
        for connection in unfinished.who_ends(halves):
            _log.warning("request_ended", reason="too many unfinished requests", address=connection.address)
            self._refuse(connection, "408 Request Timeout", "Too many requests are unfinished; this one was slowest.")

    def _wake(self) -> None:
        with suppress(OSError):  # full: it is awake
            self._waker.send(b"x")


def serve(
    application: WSGIApplication,
    host: str,
    port: int,
    *,
    drain_s: float = 0,
    address_of: Callable[[Mapping[str, object]], str] | None = None,
) -> int:
    """Serve the application, and give the exit code of the process.

    Blocks until SIGINT or SIGTERM. Then `/readyz` answers 503 for `drain_s` seconds while everything else is served
    as before, so that a load balancer sends its next connections elsewhere; then nobody is let in any more, and calls
    under way are finished. A second signal ends the wait. Returns 1 after one line on standard error when the address
    cannot be bound. `address_of`: see `Server`. Call it in the main thread, which alone is given signals.
    """
    try:
        listener = _listening(host, port)
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        sys.stderr.write(f"Cannot listen on {host}:{port}: {'the port is already in use' if taken else error}\n")
        return 1
    server = Server(application, listener, drain_s=drain_s, address_of=address_of)
    with _signals(server.told_to_end):
        _log.info("bridge_listens", host=host, port=port)
        server.run()
    return 0


@contextmanager
def _signals(handle: Callable[..., None]) -> Iterator[None]:
    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listening(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name != "nt":
            # A port whose last connections are still closing is free; on Windows the option means otherwise.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _files_for_connections() -> int:
    """Raise the limit of open files as far as this process may, and give what is left for connections."""
    try:
        import resource  # noqa: PLC0415 not on Windows
    except ImportError:
        return CONNECTIONS_MAX
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return CONNECTIONS_MAX if soft == resource.RLIM_INFINITY else max(16, min(CONNECTIONS_MAX, soft - OTHER_FILES))
