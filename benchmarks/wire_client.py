"""The cheap client, in a process of its own: raw sockets, prepared bodies, one kept connection a client.

`python -m benchmarks.wire_client polls|sessions|drain PORT CLIENTS SECONDS COMPANIES [FIRST]` prints one line of JSON.
The Web Connector keeps its connection within an update (web-connector.md 3, keep-alive).
"""

from __future__ import annotations

import functools
import json
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable

from benchmarks import canned
from benchmarks.filling import PASSWORD, company_id

RECEIVED = 1 << 16
BETWEEN_SESSIONS_S = 0.25
"""Between two sessions that drain a queue; a Web Connector waits for minutes, and its sets are full."""
READY = "ready"


class Wire:
    """One HTTP connection that does calls and gives the bodies of the replies."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = f"127.0.0.1:{port}"

    def prepared(self, body: bytes) -> bytes:
        """Give the whole request for a body."""
        head = (
            f"POST /qbwc HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: text/xml; charset=utf-8\r\n"
            f'SOAPAction: "http://developer.intuit.com/call"\r\nContent-Length: {len(body)}\r\n\r\n'
        )
        return head.encode() + body

    def call(self, request: bytes) -> bytes:
        """Send a prepared request; raises RuntimeError unless the reply is a 200."""
        self._socket.sendall(request)
        data = self._socket.recv(RECEIVED)
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        if b" 200 " not in head[:16]:
            raise RuntimeError(f"the reply is {head[:60]!r}")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        while len(body) < length:
            body += self._more()
        return body

    def _more(self) -> bytes:
        data = self._socket.recv(RECEIVED)
        if not data:
            raise RuntimeError("the server closed the connection")
        return data

    def close(self) -> None:
        """Close it."""
        self._socket.close()


def poll(port: int, number: int, clients: int, companies: int, until: float) -> tuple[int, int]:
    """Poll as this client's companies in turn, until the time is over; gives polls and calls."""
    wire = Wire(port)
    server, version = (wire.prepared(body) for body in canned.opening())
    mine = [
        wire.prepared(canned.sign_in(f"qbwc-{company_id(one)}", PASSWORD)) for one in range(number, companies, clients)
    ]
    done = 0
    while time.monotonic() < until:
        wire.call(server)
        wire.call(version)
        if b">none<" not in wire.call(mine[done % len(mine)]):
            raise RuntimeError("a poll found something to do")
        done += 1
    wire.close()
    return done, 3 * done


def work(port: int, number: int, clients: int, companies: int, until: float, first: int = 0) -> tuple[int, int]:
    """Run a whole session for each of this client's companies from `first` on, once; gives sessions and calls."""
    wire = Wire(port)
    opening = [wire.prepared(body) for body in canned.opening()]
    done = calls = 0
    for one in range(first + number, companies, clients):
        if time.monotonic() > until:
            break
        calls += session(wire, opening, one)[1]
        done += 1
    wire.close()
    return done, calls


def drain(port: int, number: int, clients: int, companies: int, until: float) -> tuple[int, int]:
    """Run sessions until the time is over or the last document of `companies` of one company is exported."""
    wire = Wire(port)
    opening = [wire.prepared(body) for body in canned.opening()]
    done = calls = 0
    while done < companies and time.monotonic() < until:
        exported, took = session(wire, opening, 0)
        calls += took
        done += exported
        time.sleep(BETWEEN_SESSIONS_S)
    wire.close()
    return done, calls


def session(wire: Wire, opening: list[bytes], number: int) -> tuple[int, int]:
    """Run one session of a company; gives how many documents it took over, and its calls."""
    for request in opening:
        wire.call(request)
    ticket, *_ = canned.strings(wire.call(wire.prepared(canned.sign_in(f"qbwc-{company_id(number)}", PASSWORD))))
    if not ticket:
        return 0, 3
    taken, calls, progress = 0, 3, "0"
    while progress != "100":
        qbxml = canned.result(wire.call(wire.prepared(canned.send_request(ticket, first=calls == 3, number=number))))
        taken += qbxml.count("AddRq requestID")
        if not qbxml:
            raise RuntimeError("the bridge refused to hand out a document")
        answered = wire.prepared(canned.receive_response(ticket, canned.answer(qbxml)))
        progress = canned.result(wire.call(answered))
        calls += 2
        if progress.startswith("-"):
            raise RuntimeError("the bridge did not take the answer")
    wire.call(wire.prepared(canned.close(ticket)))
    return taken, calls + 1


def main(kind: str, port: int, clients: int, seconds: float, companies: int, first: int = 0) -> int:
    """Run the clients and print what they did."""
    kinds: dict[str, Callable[[int, int, int, int, float], tuple[int, int]]] = {
        "polls": poll,
        "sessions": functools.partial(work, first=first),
        "drain": drain,
    }
    print(READY, flush=True)  # whoever measures begins now, not when Python began to load
    results: list[tuple[int, int]] = []
    failures: list[str] = []
    began = time.monotonic()

    def run(number: int) -> None:
        try:
            results.append(kinds[kind](port, number, clients, companies, began + seconds))
        except (RuntimeError, OSError, ValueError) as error:
            failures.append(str(error))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "done": sum(done for done, _ in results),
                "calls": sum(calls for _, calls in results),
                "seconds": time.monotonic() - began,
                "client_cpu_s": used.ru_utime + used.ru_stime,
                "failures": failures,
            }
        )
    )
    return 1 if failures else 0


if __name__ == "__main__":
    port, clients, seconds, companies, *more = sys.argv[2:]
    raise SystemExit(main(sys.argv[1], int(port), int(clients), float(seconds), int(companies), *map(int, more)))
