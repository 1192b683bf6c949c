"""The eight calls of the Web Connector (and the three interactive ones) as plain Python, free of SOAP.

`soap.py` translates the wire to these calls; `dispatcher.py` implements them over the store.
"""

from __future__ import annotations

from typing import Protocol


class WebConnectorService(Protocol):
    """What the SOAP layer needs. Texts are never None; implementations may raise, `soap.py` answers legally."""

    def server_version(self) -> str:
        """Give the text shown in the Web Connector's More Information panel (web-connector.md 1.4)."""

    def client_version(self, version: str) -> str:
        """Accept with "" or refuse with `E:...` or `O:...`; never `W:`."""

    def authenticate(self, username: str, password: str, address: str = "", version: str = "") -> list[str]:
        """Give [ticket, "" | path | none | nvu | busy].

        `address` is where the call came from, `version` the Web Connector's, both where they are known.
        """

    def send_request_xml(
        self, ticket: str, hcp_response: str, company_file: str, country: str, major: str, minor: str
    ) -> str:
        """Give the next qbXML document, or "" when getLastError has the reason."""

    def receive_response_xml(self, ticket: str, response: str, hresult: str, message: str) -> int:
        """Give the progress: 0-99 goes on, 100 is done, negative asks for getLastError."""

    def connection_error(self, ticket: str, hresult: str, message: str) -> str:
        """Note why QuickBooks could not be opened; answer `done`."""

    def get_last_error(self, ticket: str) -> str:
        """Give the sentence for the Web Connector's status column."""

    def close_connection(self, ticket: str) -> str:
        """End the session; give its last word."""

    def interactive_url(self, ticket: str, session_id: str) -> str:
        """Interactive mode is not offered: answer ""."""

    def interactive_done(self, ticket: str) -> str:
        """Interactive mode is not offered: answer `DONE`."""

    def interactive_rejected(self, ticket: str, reason: str) -> str:
        """Interactive mode is not offered: answer ""."""
