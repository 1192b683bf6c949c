"""A bare spyne service under our server with the calls of an idle poll, in memory: what our bridge is compared with."""

from __future__ import annotations

import sys
from typing import Any

from ops.http_server import serve_wsgi
from ops.settings import load_settings
from qbwc_bridge import spyne_compat
from qbwc_bridge.wsgi import silence_spyne


def app() -> Any:
    """Give spyne's own WSGI application, as its documentation builds it."""
    spyne_compat.install()
    from spyne import Application, Array, ServiceBase, Unicode, rpc  # noqa: PLC0415
    from spyne.protocol.soap import Soap11  # noqa: PLC0415
    from spyne.server.wsgi import WsgiApplication  # noqa: PLC0415

    class Bare(ServiceBase):  # type: ignore[misc]
        @rpc(_returns=Unicode)  # type: ignore[untyped-decorator]
        def serverVersion(ctx: Any) -> str:  # noqa: N802, N805
            return "bare"

        @rpc(Unicode, _returns=Unicode)  # type: ignore[untyped-decorator]
        def clientVersion(ctx: Any, strVersion: str) -> str:  # noqa: N802, N803, N805
            return ""

        @rpc(Unicode, Unicode, _returns=Array(Unicode))  # type: ignore[untyped-decorator]
        def authenticate(ctx: Any, strUserName: str, strPassword: str) -> list[str]:  # noqa: N803, N805
            return ["", "none"]

    silence_spyne()
    protocols = {"in_protocol": Soap11(), "out_protocol": Soap11()}
    return WsgiApplication(Application([Bare], tns="http://developer.intuit.com/", **protocols))


if __name__ == "__main__":
    serve_wsgi(app(), load_settings({}), port=int(sys.argv[1]))
