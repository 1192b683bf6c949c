"""A recording service and the factories that a real server process loads (`fake_service:app`)."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from qbwc_bridge.wsgi import build_wsgi

FAILING = "fail"
PASSWORD = "never-log-me-7261"


class RecordingService:
    """Answers plausibly and notes each call; the user, ticket or version "fail" makes a call raise.

    A clientVersion "wait" gets its answer when the file FAKE_WAIT is there.
    """

    def __init__(self, notebook: Path | None = None) -> None:
        self.notebook = notebook
        self.calls: list[list[Any]] = []

    def _note(self, name: str, *values: str) -> None:
        self.calls.append([name, *values])
        if self.notebook:
            with self.notebook.open("a", encoding="utf-8") as file:
                file.write(json.dumps([name, *values]) + "\n")
        if FAILING in values[:1]:
            raise RuntimeError(f"cannot handle {values}\n[parameters: {values}]")

    def server_version(self) -> str:
        self._note("server_version")
        return "1.0 test"

    def client_version(self, version: str) -> str:
        self._note("client_version", version)
        while version == "wait" and not Path(os.environ["FAKE_WAIT"]).exists():
            time.sleep(0.02)
        return ""

    def authenticate(self, username: str, password: str, address: str = "", version: str = "") -> list[str]:
        self._note("authenticate", username, password)
        return ["{11111111-2222-3333-4444-555555555555}", ""]

    def send_request_xml(
        self, ticket: str, hcp_response: str, company_file: str, country: str, major: str, minor: str
    ) -> str:
        self._note("send_request_xml", ticket, hcp_response, company_file, country, major, minor)
        return '<?xml version="1.0"?><?qbxml version="13.0"?><QBXML>caf&#233;\x0b</QBXML>'

    def receive_response_xml(self, ticket: str, response: str, hresult: str, message: str) -> int:
        self._note("receive_response_xml", ticket, response, hresult, message)
        return {"wrong": "no number", "none": None, "far": 101}.get(ticket, 100)  # type: ignore[return-value]

    def connection_error(self, ticket: str, hresult: str, message: str) -> str:
        self._note("connection_error", ticket, hresult, message)
        return "done"

    def get_last_error(self, ticket: str) -> str:
        self._note("get_last_error", ticket)
        return "Invoice 7 < needs & attention"

    def close_connection(self, ticket: str) -> str:
        self._note("close_connection", ticket)
        return "OK"

    def interactive_url(self, ticket: str, session_id: str) -> str:
        self._note("interactive_url", ticket, session_id)
        return ""

    def interactive_done(self, ticket: str) -> str:
        self._note("interactive_done", ticket)
        return "DONE"

    def interactive_rejected(self, ticket: str, reason: str) -> str:
        self._note("interactive_rejected", ticket, reason)
        return ""


def support_text(company: str) -> str | None:
    if company == "broken":
        raise RuntimeError("no database")
    return {"acme": "Call <us> & ask\nfor Jo"}.get(company)


def app() -> Any:
    notebook = Path(os.environ["FAKE_NOTEBOOK"])
    return build_wsgi(RecordingService(notebook), public_url="", support_page=support_text)
