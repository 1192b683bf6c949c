"""Plays Intuit's Web Connector: one update session of one application (web-connector.md 0, 1, 2, 5.4)."""

import re
from collections.abc import Callable, Sequence

import httpx

from . import soap
from .company import Clock, CompanyFile
from .cuts import Cuts
from .errors import QuickBooksCrash, QuickBooksError
from .qwc import QwcError, QwcFile
from .report import UpdateEnded, UpdateReport
from .session import Session
from .tables import SUPPORTED_VERSIONS

_FAILURE_CODES = {
    "clientVersion": "QBWC1036",
    "authenticate": "QBWC1012",
    "sendRequestXML": "QBWC1041",
    "receiveResponseXML": "QBWC1042",
    "getLastError": "QBWC1043",
    "closeConnection": "QBWC1044",
    "connectionError": "QBWC1045",
}
_PAUSE_SECONDS = 5.0
_USER_AGENT = "Mozilla/4.0 (compatible; MSIE 6.0; MS Web Services Client Protocol 4.0.30319.42000)"


def _no_sleep(_: float) -> None:
    """The default pause takes no time, so that tests do not."""


class WebConnector:
    """One application in the Web Connector of one QuickBooks computer.

    Making one is the import of the .qwc file: it stamps FileID into the company file (web-connector.md 3.3). Opening
    another file later with `company = other` does not stamp that one.
    """

    def __init__(
        self,
        qwc: QwcFile,
        password: str,
        company: CompanyFile,
        *,
        http: httpx.Client,
        product_version: str = "34.0.10010.76",
        host_name: str = "QB-DESK",
        sleep: Callable[[float], None] = _no_sleep,
        cuts: Cuts | None = None,
        connection_error_cap: int = 10,
        pause_cap: int = 100,
        request_cap: int = 10_000,
        close_after_refusal: bool = False,
        keep_exchanges: bool = True,
        opened_as: str | None = None,
        clock: Clock | None = None,
        keeps_off_locked: bool = True,
    ) -> None:
        """`opened_as` is the path by which this computer opens the company file, `clock` is this computer's clock.

        What ends a lock that a computer left behind is not confirmed by any source: without `keeps_off_locked` this
        one goes to work although another holds the lock (web-connector.md 2.4).
        """
        self.qwc = qwc
        self.password = password
        self.company = company
        self.http = http
        self.product_version = product_version
        self.host_name = host_name
        self.sleep = sleep
        self.cuts = cuts or Cuts()
        self.connection_error_cap = connection_error_cap
        self.pause_cap = pause_cap
        self.request_cap = request_cap
        self.close_after_refusal = close_after_refusal
        self.keep_exchanges = keep_exchanges
        self.opened_as = opened_as
        self.clock = clock
        self.keeps_off_locked = keeps_off_locked
        company.state.data_ext.setdefault(qwc.owner_id, {}).setdefault("FileID", qwc.file_id)

    def probe(self) -> None:
        """The GET that QBWC does when an application is added; raises QwcError QBWC1048 (web-connector.md 2.3)."""
        try:
            status = self.http.get(self.qwc.app_url, follow_redirects=False).status_code
        except httpx.HTTPError as error:
            raise QwcError("QBWC1048", f"could not verify the web application server certificate: {error}") from error
        if status not in (200, 204):
            raise QwcError("QBWC1048", f"could not verify the web application server certificate (HTTP {status})")

    def run_once(self) -> UpdateReport:
        """Do one update session."""
        # The Web Connector keeps cookies within a session at most (web-connector.md 2.2).
        self.http.cookies.clear()
        return _Update(self).run()


class _Update:
    """One update session in progress."""

    def __init__(self, connector: WebConnector) -> None:
        self._own = connector
        self._company = connector.company
        self._report = UpdateReport()
        self._ticket = ""

    def run(self) -> UpdateReport:
        try:
            self._greet()
            self._exchange(self._authenticate())
        except UpdateEnded as end:
            self._report.outcome, self._report.status, self._report.code = end.outcome, end.status, end.code
        return self._report

    def _call(self, method: str, *parameters: tuple[str, str | int], detail: str = "") -> bytes:
        """One SOAP call; nothing is ever sent again (web-connector.md 0)."""
        self._own.cuts.count(method)
        self._report.calls.append((method, detail))
        if self._own.cuts.strikes("before", method):
            raise soap.ReplyError("The underlying connection was closed: unable to connect to the remote server.")
        try:
            reply = self._own.http.post(
                self._own.qwc.app_url,
                content=soap.envelope(method, parameters),
                headers={
                    "Content-Type": "text/xml; charset=utf-8",
                    "SOAPAction": f'"{soap.NAMESPACE}{method}"',
                    "User-Agent": _USER_AGENT,
                    "Accept-Encoding": "identity",
                },
                follow_redirects=False,
            )
        except httpx.HTTPError as error:
            raise soap.ReplyError(f"{type(error).__name__}: {error}") from error
        if self._own.cuts.strikes("after", method):
            raise soap.ReplyError("The underlying connection was closed: an unexpected error occurred on a receive.")
        kind = reply.headers.get("Content-Type", "")
        if reply.status_code != 200:
            raise soap.ReplyError(f"The request failed with HTTP status {reply.status_code}: {reply.reason_phrase}.")
        if not kind.lower().startswith("text/xml"):
            raise soap.ReplyError(f"Client found response content type of '{kind}', but expected 'text/xml'.")
        return reply.content

    def _text(self, method: str, *parameters: tuple[str, str | int], detail: str = "") -> str:
        try:
            text = soap.read_text(self._call(method, *parameters, detail=detail), method)
        except soap.ReplyError as error:
            raise UpdateEnded("failed", str(error), _FAILURE_CODES[method]) from error
        if text is None:
            # QBWC's own logger stumbles over a missing or nil result (web-connector.md 1.4).
            raise UpdateEnded(
                "crashed", "Object reference not set to an instance of an object.", _FAILURE_CODES[method]
            )
        self._note(text)
        return text

    def _note(self, result: str) -> None:
        method, detail = self._report.calls[-1]
        shown = result if len(result) <= 60 else f"{len(result)} characters"
        self._report.calls[-1] = (method, f"{detail} -> {shown}" if detail else f"-> {shown}")

    def _greet(self) -> None:
        try:
            self._note(soap.read_text(self._call("serverVersion"), "serverVersion") or "")
        except soap.ReplyError as error:
            # QBWC logs this and goes on (web-connector.md 1.4).
            self._note(f"ignored: {error}")
        version = self._own.product_version
        answer = self._client_version(version)
        if answer.startswith(("E:", "O:", "W:")):
            raise UpdateEnded("version", answer[2:], "QBWC1037" if answer[0] != "O" else None)
        if answer:
            raise UpdateEnded("version", f"clientVersion answered {answer!r}", "QBWC1046")

    def _client_version(self, version: str) -> str:
        """A nil result means go on here (web-connector.md 1.4)."""
        try:
            reply = self._call("clientVersion", ("strVersion", version), detail=version)
            answer = soap.read_text(reply, "clientVersion") or ""
        except soap.ReplyError as error:
            raise UpdateEnded("failed", str(error), _FAILURE_CODES["clientVersion"]) from error
        self._note(answer)
        return answer

    def _authenticate(self) -> str:
        """The company file path to open; empty for the open one (web-connector.md 1.4)."""
        user = self._own.qwc.user_name
        try:
            reply = self._call("authenticate", ("strUserName", user), ("strPassword", self._own.password), detail=user)
            strings = soap.read_strings(reply, "authenticate")
        except soap.ReplyError as error:
            raise UpdateEnded("failed", str(error), _FAILURE_CODES["authenticate"]) from error
        self._ticket = self._report.ticket = strings[0]
        self._note(repr(strings[1:]))
        if len(strings) > 3 and strings[3].strip().isdigit():
            self._report.minimum_wait = int(strings[3])
        if len(strings) > 2 and strings[2].strip().isdigit() and int(strings[2]) > 0:
            self._report.minimum_wait = int(strings[2])
            # This hides a refusal too, as the guide's examples say (web-connector.md 1.4).
            raise UpdateEnded("postponed", "Update postponed by application")
        keyword = strings[1].lower()
        refusals = {
            "none": ("No data exchange required", None),
            "nvu": (f"Invalid password for username {user}", "QBWC1040"),
            "busy": ("Application Busy", None),
        }
        if keyword in refusals:
            self._close_if_wanted()
            raise UpdateEnded(keyword, *refusals[keyword])
        return strings[1]

    def _close_if_wanted(self) -> None:
        """Whether closeConnection follows a refusal is not confirmed by any source (web-connector.md 1.4)."""
        if self._own.close_after_refusal:
            self._close()

    def _close(self) -> str:
        return self._text("closeConnection", ("ticket", self._ticket))

    def _exchange(self, path: str) -> None:
        session = self._open(path)
        self._lock()
        try:
            end = self._loop(session)
        finally:
            session.close()
            self._private_data()["AppLock"] = "UNLOCKED"
        status = self._close()
        if end is not None:
            raise end
        raise UpdateEnded("ok", status)

    def _open(self, path: str) -> Session:
        """Open the company file; the server decides by connectionError what to try next (web-connector.md 1.4)."""
        for _ in range(self._own.connection_error_cap):
            try:
                return self._company.open_session(
                    self._own.qwc.app_name, path, opened_as=self._own.opened_as, clock=self._own.clock
                )
            except QuickBooksError as error:
                answer = self._text(
                    "connectionError",
                    ("ticket", self._ticket),
                    ("hresult", error.hresult),
                    ("message", error.message),
                    detail=error.hresult,
                )
                if answer.lower() == "done":
                    self._close_if_wanted()
                    raise UpdateEnded("stopped", error.message) from error
                path = answer
        raise UpdateEnded("endless", f"connectionError was answered {self._own.connection_error_cap} times with a path")

    def _private_data(self) -> dict[str, str]:
        return self._company.state.data_ext.setdefault(self._own.qwc.owner_id, {})

    def _lock(self) -> None:
        """AppLock keeps two computers from running the same application at once (web-connector.md 2.4)."""
        values = self._private_data()
        held = values.get("AppLock", "")
        is_of_another = held.startswith("LOCKED:") and held.split(":")[1] != self._own.host_name
        if is_of_another and self._own.keeps_off_locked:
            raise UpdateEnded("locked", f"The company file is locked by {held.split(':')[1]}")
        values["AppLock"] = f"LOCKED:{self._own.host_name}:{int(self._company.clock().timestamp()) * 10_000_000}"

    def _loop(self, session: Session) -> UpdateEnded | None:
        """Requests and answers until the server says enough; what it returns is raised after closeConnection."""
        first_answer, pauses = self._first_answer(session), 0
        while self._report.requests_processed < self._own.request_cap:
            request = self._send(first_answer)
            first_answer = ""
            if request == "" or request.lower() == "noop":
                text = self._text("getLastError", ("ticket", self._ticket))
                if text.lower() != "noop":
                    return UpdateEnded("error", text, "QBWC1031")
                pauses += 1
                if pauses > self._own.pause_cap:
                    raise UpdateEnded("endless", f"NoOp was answered {pauses} times")
                self._own.sleep(_PAUSE_SECONDS)
                continue
            percent = self._receive(*self._process(session, request))
            if percent < 0:
                return UpdateEnded("error", self._text("getLastError", ("ticket", self._ticket)), "QBWC1031")
            if percent >= 100:
                return None
        raise UpdateEnded("endless", f"{self._own.request_cap} requests without an end")

    def _first_answer(self, session: Session) -> str:
        """Host, Company and Preferences, which the first sendRequestXML carries (web-connector.md 2.1).

        Whether private data of other applications comes along is a switch: no source says it.
        """
        owners = [self._own.qwc.owner_id]
        if self._company.switches.tells_marks_of_others:
            owners += [owner for owner in self._company.state.data_ext if owner.lower() != owners[0].lower()]
        asked = "".join(f"<OwnerID>{owner}</OwnerID>" for owner in owners)
        try:
            return session.process_request(
                '<?xml version="1.0"?><?qbxml version="13.0"?><QBXML><QBXMLMsgsRq onError="continueOnError">'
                '<HostQueryRq requestID="0"/><CompanyQueryRq requestID="1">'
                f"{asked}</CompanyQueryRq>"
                '<PreferencesQueryRq requestID="2"/></QBXMLMsgsRq></QBXML>'
            )
        except QuickBooksError as error:
            raise UpdateEnded("failed", error.message, "QBWC1014") from error

    def _send(self, first_answer: str) -> str:
        major, minor = SUPPORTED_VERSIONS[-1].split(".")
        return self._text(
            "sendRequestXML",
            ("ticket", self._ticket),
            ("strHCPResponse", first_answer),
            ("strCompanyFileName", self._own.opened_as or self._company.path),
            ("qbXMLCountry", "US"),
            ("qbXMLMajorVers", int(major)),
            ("qbXMLMinorVers", int(minor)),
            detail="HCP" if first_answer else "",
        )

    def _process(self, session: Session, request: str) -> tuple[str, str, str]:
        """Response, hresult and message; of these either the first or the others are empty (web-connector.md 1.4)."""
        try:
            response = session.process_request(request)
        except QuickBooksError as error:
            self._keep(request, "")
            return "", error.hresult, error.message
        except QuickBooksCrash as crash:
            self._keep(request, "")
            if crash.hresult is None:
                raise UpdateEnded("crashed", "The Web Connector ended together with QuickBooks") from crash
            return "", crash.hresult, crash.message
        self._keep(request, response)
        return response, "", ""

    def _keep(self, request: str, response: str) -> None:
        if not self._own.keep_exchanges:
            request, response = "", ""  # a long update would keep whole lists in memory
        self._report.exchanges.append((request, response))

    def _receive(self, response: str, hresult: str, message: str) -> int:
        parameters: Sequence[tuple[str, str | int]] = (
            ("ticket", self._ticket),
            ("response", response),
            ("hresult", hresult),
            ("message", message),
        )
        shown = hresult or ", ".join(re.findall(r'<(\w+Rs) [^>]*statusCode="\d+"', response)[:3])
        try:
            percent = soap.read_int(self._call("receiveResponseXML", *parameters, detail=shown), "receiveResponseXML")
        except soap.ReplyError as error:
            raise UpdateEnded("failed", str(error), _FAILURE_CODES["receiveResponseXML"]) from error
        self._note(str(percent))
        return percent
