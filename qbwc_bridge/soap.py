"""The Web Connector's SOAP calls, translated by spyne to the plain calls of `service.WebConnectorService`.

The Web Connector never repeats a call that failed, and a missing result element crashes it (Programmer's Guide,
"QBWC web service reference", and field reports). So whatever a handler does, the answer here is a legal one: every
exception is logged and answered with the value that ends the run politely.
"""

from __future__ import annotations

import functools
import re
import traceback
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar
from xml.sax.saxutils import escape

import structlog

from qbwc_bridge import spyne_compat
from qbwc_bridge.envelope import SOAP_NAMESPACE, Call
from qbwc_bridge.observing import CallObserver
from qbwc_bridge.service import WebConnectorService
from qbwc_bridge.wsdl import INT, NAMESPACE, OPERATIONS, STRING, STRINGS, Operation

spyne_compat.install()

# spyne can only be imported after the repair above.
from spyne import Application, ComplexModel, Integer32, MethodContext, Service, Unicode, rpc  # noqa: E402
from spyne.protocol.soap import Soap11  # noqa: E402
from spyne.server import ServerBase  # noqa: E402

GENERAL_FAILURE = "The server had a problem. Nothing was lost; it will try again at the next run."

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARK = "\ue000"
_MARKED_NUMBER = 1_234_567_890
"""What a reply cannot hold otherwise: a private character, and a progress beyond all."""
_SECRET = frozenset({"strPassword", "strHCPResponse", "response", "ticket", "wcTicket"})
_LONGEST_MESSAGE = 200
_RECOGNISED_BY = 24  # so many characters of a secret in a message are enough to withhold the message

_RESULTS = {operation.name: operation.result for operation in OPERATIONS}
_PARAMETER_NAMES = {operation.name: [name for name, _ in operation.parameters] for operation in OPERATIONS}

_log = structlog.get_logger(__name__)
_Answer = TypeVar("_Answer")

_TEXT = Unicode(min_occurs=0, nullable=False)
# Not spyne's Array(Unicode): the children must be called `string` and stand in our namespace, empty ones included.
_ARRAY_OF_STRING = type(
    "ArrayOfString",
    (ComplexModel,),
    {
        "__namespace__": NAMESPACE,
        "__module__": __name__,
        "string": Unicode(min_occurs=0, max_occurs="unbounded", nullable=True),
    },
)
_RESULT_TYPES: dict[str, Any] = {
    STRING: _TEXT,
    INT: Integer32(min_occurs=1, nullable=False),
    STRINGS: _ARRAY_OF_STRING,
}


class SoapFailure(Exception):  # noqa: N818  spyne's own text shows internals, so it is not handed on
    """spyne answered with a fault of its own: handlers answer everything themselves."""


@dataclass
class CallNotes:
    """What goes along with one call beside its parameters."""

    address: str = ""
    """Where it came from."""
    version: str = ""
    """The Web Connector's, where its cookie says it."""
    has_failed: bool = False
    """The handler failed, and the reply is the polite one."""
    method: str = ""


class SoapServer(ServerBase):  # type: ignore[misc]
    """spyne behind a checked envelope, without its WSGI transport, which builds addresses, headers and cookies.

    Nobody needs them here. It also collects garbage each second, which takes longer than hundreds of calls.
    """

    transport = SOAP_NAMESPACE

    def __init__(self, application: Application) -> None:
        super().__init__(application)
        # A call's context is a copy of its method's: to make one takes longer than most calls.
        methods = application.interface.service_method_map
        self._contexts = {name: self._context(*methods[f"{{{NAMESPACE}}}{name}"]) for name in _RESULTS}
        self._frames: dict[str, Frame] = {}

    def answer(self, call: Call, notes: CallNotes) -> bytes:
        """Give the reply to a checked call; raises `SoapFailure`.

        Parameters are texts. spyne's reader, made for any type, takes longer than the call, and it follows references
        within a body, by which a small one could grow.
        """
        ctx = copy(self._contexts[call.method])
        ctx.udc = notes
        ctx.in_object = [call.texts.get(name) for name in _PARAMETER_NAMES[call.method]]
        self.get_out_object(ctx)
        if ctx.out_error:
            raise SoapFailure(type(ctx.out_error).__name__)
        [answer] = ctx.out_object
        frame = self._frames.get(notes.method)
        if frame is None:
            frame = self._frames[notes.method] = self._frame(ctx, notes.method)
        return frame.around(answer)

    def _context(self, descriptor: Any) -> MethodContext:
        ctx = MethodContext(self, MethodContext.SERVER)
        ctx.descriptor = descriptor
        return ctx

    def _frame(self, ctx: Any, method: str) -> Frame:
        result = _RESULTS[method]
        marked = _MARKED_NUMBER if result == INT else _MARK
        ctx.out_object = [_ARRAY_OF_STRING(string=[marked, marked]) if result == STRINGS else marked]
        self.get_out_string(ctx)
        return Frame(b"".join(ctx.out_string).split(str(marked).encode()))


class Frame:
    """A reply of one method as spyne writes it, without its texts: what stands before, between and after them.

    The rest of a reply is always the same, and writing it anew takes longer than most calls.
    """

    def __init__(self, parts: Sequence[bytes]) -> None:
        """`parts` are what is left of a reply of one text, or of two in a list, when these are taken out."""
        self._head, *between, self._tail = parts
        self._between = between[0] if between else None

    def around(self, answer: Any) -> bytes:
        """Give the reply; texts hold only what XML can carry (`legal_text`)."""
        if self._between is None:
            return self._head + _escaped(str(answer)) + self._tail
        texts = answer.string
        return self._head + self._between.join(_escaped(text) for text in texts) + self._tail


def _escaped(text: str) -> bytes:
    # A carriage return would come out as a line feed (XML 1.0, 2.11).
    return escape(text, {"\r": "&#13;"}).encode()


def build_server(service: WebConnectorService, observer: CallObserver) -> SoapServer:
    """Give what answers envelopes for `service`; nothing is shared between two of them."""
    methods: dict[str, Any] = {"__module__": __name__, "__service_name__": "QBWebConnectorSvc"}
    handlers = _handlers(service, observer)
    for operation in OPERATIONS:
        methods[operation.name] = _method(operation, handlers[operation.name])
    service_class = type("QBWebConnectorSvc", (Service,), methods)
    return SoapServer(Application([service_class], tns=NAMESPACE, in_protocol=Soap11(), out_protocol=Soap11()))


def _handlers(service: WebConnectorService, observer: CallObserver) -> dict[str, Callable[..., Any]]:
    """Pair each call with its handler, the check of its answer and the answer when the handler fails."""
    guard = functools.partial(_guarded, observer)
    sentence = guard("getLastError", service.get_last_error, legal_text, GENERAL_FAILURE)
    interactive_done = guard("interactiveDone", service.interactive_done, legal_text, "DONE")
    return {
        "serverVersion": guard("serverVersion", service.server_version, legal_text, ""),
        "clientVersion": guard("clientVersion", service.client_version, legal_text, ""),
        "authenticate": guard("authenticate", service.authenticate, _legal_texts, ["", "busy"]),
        "connectionError": guard("connectionError", service.connection_error, legal_text, "done"),
        "sendRequestXML": guard("sendRequestXML", service.send_request_xml, legal_text, ""),
        "receiveResponseXML": guard("receiveResponseXML", service.receive_response_xml, _legal_progress, -1),
        "getLastError": sentence,
        "closeConnection": guard("closeConnection", service.close_connection, legal_text, GENERAL_FAILURE),
        "getInteractiveURL": guard("getInteractiveURL", service.interactive_url, legal_text, ""),
        "interactiveDone": interactive_done,
        "isInteractiveDone": interactive_done,
        "interactiveRejected": guard("interactiveRejected", service.interactive_rejected, legal_text, ""),
    }


def _method(operation: Operation, handler: Callable[..., Any]) -> Any:
    """Make spyne's method. All parameters are texts, so a version number that is no number is not a fault."""
    returns_strings = operation.result == STRINGS

    def method(ctx: Any, *values: Any) -> Any:
        answer = handler(ctx.udc, *values)
        ctx.udc.method = operation.name
        return _ARRAY_OF_STRING(string=answer) if returns_strings else answer

    method.__name__ = operation.name
    names = _PARAMETER_NAMES[operation.name]
    decorate = rpc(
        *[_TEXT] * len(names),
        _args=names,
        _returns=_RESULT_TYPES[operation.result],
        _out_variable_name=f"{operation.name}Result",
    )
    return decorate(method)


def _guarded(
    observer: CallObserver,
    name: str,
    call: Callable[..., object],
    check: Callable[[object], _Answer],
    fallback: _Answer,
) -> Callable[..., _Answer]:
    """Make the handler that always answers: absent and nil parameters become "", failures become `fallback`."""

    names = _PARAMETER_NAMES[name]

    def handler(notes: CallNotes, *values: object) -> _Answer:
        texts = ["" if value is None else str(value) for value in values]
        parameters = dict(zip(names, texts, strict=True))
        if name == "authenticate":
            texts += [notes.address, notes.version]
        with observer.call(name, parameters) as failed:
            try:
                return check(call(*texts))
            except Exception as error:  # noqa: BLE001  whatever it was, the Web Connector needs a legal answer
                failed()
                notes.has_failed = True
                secrets = [text for parameter, text in parameters.items() if parameter in _SECRET]
                _log.error("soap_handler_failed", method=name, failure=describe_failure(error, secrets))
                return fallback

    return handler


def legal_text(answer: object) -> str:
    """Accept a text, without the characters that XML cannot carry; raise TypeError for anything else."""
    if not isinstance(answer, str):
        raise TypeError(f"expected a text, got {type(answer).__name__}")
    return _NOT_XML.sub("", answer)


def _legal_texts(answer: object) -> list[str]:
    """Accept two to four texts (Programmer's Guide, authenticate)."""
    if not isinstance(answer, list | tuple) or not 2 <= len(answer) <= 4:
        raise TypeError("expected two to four texts")
    return [legal_text(text) for text in answer]


def _legal_progress(answer: object) -> int:
    """Accept -2^31 to 100; more than 100 is not defined (Programmer's Guide, receiveResponseXML)."""
    if not isinstance(answer, int) or isinstance(answer, bool):
        raise TypeError(f"expected a number, got {type(answer).__name__}")
    if not -(2**31) <= answer <= 100:
        raise ValueError("progress out of range")
    return answer


def describe_failure(error: BaseException, secrets: list[str]) -> str:
    """Give the traceback as text, without local variables and without messages that quote one of `secrets`.

    It is formatted here and not by structlog, whose console renderer may print local variables: here they would be
    passwords and bodies. Of a message only the first line is kept, because database errors list their parameters
    on the following ones.
    """
    lines: list[str] = []
    current: BaseException | None = error
    while current is not None:
        lines.append("".join(traceback.format_tb(current.__traceback__)))
        lines.append(f"{type(current).__name__}: {_message(current, secrets)}\n")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "".join(lines)


def _message(error: BaseException, secrets: list[str]) -> str:
    try:
        whole = str(error)
    except Exception:  # noqa: BLE001  a broken __str__ must not hide the failure it belongs to
        return "(unprintable)"
    for secret in secrets:
        if secret and any(part[:_RECOGNISED_BY] in whole for part in (secret, repr(secret)[1:-1])):
            return "(withheld: quotes the request)"
    return whole.partition("\n")[0][:_LONGEST_MESSAGE]
