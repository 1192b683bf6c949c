"""Finding free TCP ports and refusing those that are taken."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Mapping

from ops.problems import PortInUseError, ProblemError

LOOPBACK = "127.0.0.1"
ANY = "0.0.0.0"
"""All addresses of this machine, which collide with a listener on any of them."""

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of our own plain addresses: it trusts nobody, and spares each the reading of all authorities (20 ms)."""


def free_ports(count: int) -> list[int]:
    """Give ports that nobody listens on now; all are held until the last is known, so that none repeats."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def require_free(port: int, setting: str, host: str = ANY) -> None:
    """Raise `PortInUseError` when somebody listens on the port, `ProblemError` when the address is not ours."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As servers do it: a port that only waits for its old connections to end counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise ProblemError(f"{host} is no address of this machine. Set QBD_LISTEN.") from error
            raise PortInUseError(port, setting) from error


def require_all_free(ports: Mapping[str, int], host: str = ANY) -> None:
    """Check several ports, given by the name of their setting."""
    for setting, port in ports.items():
        require_free(port, setting, host)
