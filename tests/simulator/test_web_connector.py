from html import escape

import httpx
import pytest
from lxml import etree

from simulator.cli import simulate
from simulator.company import CompanyFile
from simulator.cuts import Cuts
from simulator.qwc import QwcError, QwcFile
from simulator.sample_company import freight_company
from simulator.soap import envelope
from simulator.web_connector import WebConnector

NS = "http://developer.intuit.com/"
OWNER = "{0A1B2C3D-0000-4000-8000-000000000001}"
FILE = "{0A1B2C3D-0000-4000-8000-000000000002}"
QWC = QwcFile("TMS Export", "http://localhost/qbwc", "", "http://localhost/help", "ridgeline", OWNER, FILE)


def document(body: str) -> str:
    return (
        '<?xml version="1.0"?><?qbxml version="13.0"?>'
        f'<QBXML><QBXMLMsgsRq onError="stopOnError">{body}</QBXMLMsgsRq></QBXML>'
    )


TERMS = document('<TermsQueryRq requestID="q1"/>')


class Server:
    """Answers from a script: for each method its replies in order, the last one for ever."""

    def __init__(self, **script):
        self.script = {
            "serverVersion": ["1.0"],
            "clientVersion": [""],
            "authenticate": [["TICKET", ""]],
            "sendRequestXML": [TERMS],
            "receiveResponseXML": [100],
            "getLastError": ["something happened"],
            "connectionError": ["done"],
            "closeConnection": ["OK"],
        } | script
        self.seen = []
        self.requests = []
        self.get_status = 200

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(self.get_status)
        self.requests.append(request)
        call = etree.fromstring(request.content)[0][0]
        method = etree.QName(call).localname
        self.seen.append((method, {etree.QName(child).localname: child.text or "" for child in call}))
        replies = self.script[method]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, httpx.Response):
            return reply
        return httpx.Response(
            200, headers={"Content-Type": "text/xml; charset=utf-8"}, content=self.body(method, reply)
        )

    @staticmethod
    def body(method: str, reply) -> bytes:
        if isinstance(reply, bytes):
            return reply
        if reply is None:
            inner = ""
        elif isinstance(reply, list):
            strings = "".join(f"<string>{escape(text)}</string>" for text in reply)
            inner = f"<{method}Result>{strings}</{method}Result>"
        else:
            inner = f"<{method}Result>{escape(str(reply))}</{method}Result>"
        return wrap(f'<{method}Response xmlns="{NS}">{inner}</{method}Response>')

    def parameters(self, method: str) -> list[dict[str, str]]:
        return [given for name, given in self.seen if name == method]


def wrap(body: str) -> bytes:
    envelope_ns = "http://schemas.xmlsoap.org/soap/envelope/"
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<soap:Envelope xmlns:soap="{envelope_ns}"><soap:Body>{body}</soap:Body></soap:Envelope>'
    ).encode()


@pytest.fixture
def connect(company: CompanyFile):
    clients = []

    def build(server: Server, **how) -> WebConnector:
        client = httpx.Client(transport=httpx.MockTransport(server))
        clients.append(client)
        return WebConnector(QWC, "secret", company, http=client, **how)

    yield build
    for client in clients:
        client.close()


def test_a_normal_session(connect):
    server = Server(sendRequestXML=[TERMS, TERMS], receiveResponseXML=[50, 100])
    report = connect(server).run_once()
    assert (report.outcome, report.status, report.ticket, report.code) == ("ok", "OK", "TICKET", None)
    assert report.methods == [
        *("serverVersion", "clientVersion", "authenticate", "sendRequestXML", "receiveResponseXML"),
        *("sendRequestXML", "receiveResponseXML", "closeConnection"),
    ]
    assert (report.count, report.requests_processed) == (8, 2)
    assert server.parameters("clientVersion") == [{"strVersion": "34.0.10010.76"}]
    assert server.parameters("authenticate") == [{"strUserName": "ridgeline", "strPassword": "secret"}]
    received = server.parameters("receiveResponseXML")[0]
    assert "Net 30" in received["response"]
    assert (received["hresult"], received["message"]) == ("", "")


def test_host_company_and_preferences_come_with_the_first_request_only(connect, company):
    server = Server(sendRequestXML=[TERMS, TERMS], receiveResponseXML=[50, 100])
    connect(server).run_once()
    first, second = server.parameters("sendRequestXML")
    answers = etree.fromstring(first["strHCPResponse"])[0]
    assert [(answer.tag, answer.get("requestID")) for answer in answers] == [
        *(("HostQueryRs", "0"), ("CompanyQueryRs", "1"), ("PreferencesQueryRs", "2")),
    ]
    values = {ret.findtext("DataExtName"): ret.findtext("DataExtValue") for ret in answers.iter("DataExtRet")}
    assert values["FileID"] == FILE
    assert values["AppLock"].startswith("LOCKED:QB-DESK:")
    assert second["strHCPResponse"] == ""
    assert first["strCompanyFileName"] == company.path
    assert (first["qbXMLCountry"], first["qbXMLMajorVers"], first["qbXMLMinorVers"]) == ("US", "16", "0")
    assert company.state.data_ext[OWNER]["AppLock"] == "UNLOCKED"


def test_the_envelope_has_the_captured_shape(connect):
    server = Server()
    connect(server).run_once()
    request = server.requests[0]
    assert request.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert request.headers["SOAPAction"] == '"http://developer.intuit.com/serverVersion"'
    assert request.content == envelope("serverVersion", ())
    assert b'<soap:Body><serverVersion xmlns="http://developer.intuit.com/" /></soap:Body>' in request.content
    assert b"<hresult />" in server.requests[4].content


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        (
            '<authenticateResult xmlns:a="http://schemas.microsoft.com/2003/10/Serialization/Arrays">'
            "<a:string>T</a:string><a:string></a:string></authenticateResult>",
            "Index was outside the bounds",
        ),
        ('<authenticateResult><string xmlns="">T</string></authenticateResult>', "Index was outside the bounds"),
        ("<result><string>T</string></result>", "Object reference not set"),
    ],
)
def test_array_members_count_only_in_intuits_namespace(connect, inner, text):
    reply = wrap(f'<authenticateResponse xmlns="{NS}">{inner}</authenticateResponse>')
    report = connect(Server(authenticate=[reply])).run_once()
    assert (report.outcome, report.code) == ("failed", "QBWC1012")
    assert text in report.status
    assert report.methods[-1] == "authenticate"


@pytest.mark.parametrize(
    ("reply", "outcome", "code"),
    [
        (["T", "none"], "none", None),
        (["T", "NONE", "", ""], "none", None),
        (["", "nvu"], "nvu", "QBWC1040"),
        (["", "Busy"], "busy", None),
        (["T", "", "60"], "postponed", None),
        (["T", "nvu", "60"], "postponed", None),
    ],
)
def test_what_authenticate_can_refuse(connect, reply, outcome, code):
    server = Server(authenticate=[reply])
    report = connect(server).run_once()
    assert (report.outcome, report.code, report.methods[-1]) == (outcome, code, "authenticate")
    if outcome == "postponed":
        assert report.minimum_wait == 60
    closing = connect(Server(authenticate=[reply]), close_after_refusal=True).run_once()
    assert (closing.methods[-1] == "closeConnection") == (outcome != "postponed")


def test_the_fourth_element_is_a_floor_for_the_interval(connect):
    report = connect(Server(authenticate=[["T", "", "", "300"]])).run_once()
    assert (report.outcome, report.minimum_wait) == ("ok", 300)


@pytest.mark.parametrize(
    ("answer", "outcome", "code"),
    [("E:too old", "version", "QBWC1037"), ("O:2.1", "version", None), ("hello", "version", "QBWC1046")],
)
def test_client_version_can_stop_the_update(connect, answer, outcome, code):
    report = connect(Server(clientVersion=[answer])).run_once()
    assert (report.outcome, report.code, report.methods[-1]) == (outcome, code, "clientVersion")


def test_a_missing_server_version_is_tolerated_and_a_nil_client_version_too(connect):
    server = Server(serverVersion=[httpx.Response(500)], clientVersion=[None])
    assert connect(server).run_once().outcome == "ok"


def test_a_nil_request_crashes_the_web_connector(connect):
    report = connect(Server(sendRequestXML=[None])).run_once()
    assert (report.outcome, report.code, report.methods[-1]) == ("crashed", "QBWC1041", "sendRequestXML")


def test_an_empty_request_asks_for_the_last_error(connect):
    report = connect(Server(sendRequestXML=[""])).run_once()
    assert report.methods[-3:] == ["sendRequestXML", "getLastError", "closeConnection"]
    assert (report.outcome, report.status, report.code) == ("error", "something happened", "QBWC1031")


def test_no_op_pauses_for_five_seconds(connect):
    pauses = []
    server = Server(sendRequestXML=["NoOp", "", TERMS], getLastError=["NoOp"])
    report = connect(server, sleep=pauses.append).run_once()
    assert (report.outcome, pauses) == ("ok", [5.0, 5.0])
    endless = connect(Server(sendRequestXML=["NoOp"], getLastError=["NoOp"])).run_once()
    assert endless.outcome == "endless"


def test_a_negative_result_ends_with_the_last_error(connect):
    report = connect(Server(receiveResponseXML=[-1])).run_once()
    assert report.methods[-3:] == ["receiveResponseXML", "getLastError", "closeConnection"]
    assert report.outcome == "error"


def test_a_result_that_is_no_number(connect):
    report = connect(Server(receiveResponseXML=["many"])).run_once()
    assert (report.outcome, report.code, report.methods[-1]) == ("failed", "QBWC1042", "receiveResponseXML")


def test_a_server_that_never_ends_is_noticed(connect):
    report = connect(Server(receiveResponseXML=[50]), request_cap=3).run_once()
    assert (report.outcome, report.requests_processed) == ("endless", 3)


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(500, headers={"Content-Type": "text/xml"}, content=b"<x/>"),
        httpx.Response(200, headers={"Content-Type": "text/html"}, content=b"<html/>"),
        httpx.Response(200, headers={"Content-Type": "text/xml"}, content=b"oops"),
        httpx.Response(302, headers={"Location": "/elsewhere"}),
        wrap("<f:Fault xmlns:f='http://schemas.xmlsoap.org/soap/envelope/'><faultstring>no</faultstring></f:Fault>"),
    ],
)
def test_a_broken_reply_kills_the_update_without_a_close(connect, reply):
    report = connect(Server(receiveResponseXML=[reply])).run_once()
    assert (report.outcome, report.code, report.methods[-1]) == ("failed", "QBWC1042", "receiveResponseXML")


def test_a_refused_document_arrives_as_an_hresult(connect):
    server = Server(sendRequestXML=[document("<Bogus/>"), TERMS], receiveResponseXML=[50, 100])
    report = connect(server).run_once()
    first = server.parameters("receiveResponseXML")[0]
    assert (first["response"], first["hresult"]) == ("", "0x80040400")
    assert first["message"] == "QuickBooks found an error when parsing the provided XML text stream."
    assert report.outcome == "ok"


def test_connection_error_until_done(connect, company):
    company.faults.modal_dialog()
    server = Server()
    report = connect(server).run_once()
    assert (report.outcome, report.methods[-1]) == ("stopped", "connectionError")
    assert server.parameters("connectionError")[0]["hresult"] == "0x80040414"


def test_connection_error_can_retry_with_the_open_file(connect, company):
    company.faults.modal_dialog()
    assert connect(Server(connectionError=[""])).run_once().outcome == "ok"


def test_a_text_from_connection_error_is_a_path_and_loops(connect, company):
    company.faults.modal_dialog()
    report = connect(Server(connectionError=["Please close the dialog"]), connection_error_cap=4).run_once()
    assert report.outcome == "endless"
    assert report.methods.count("connectionError") == 4


def test_the_wrong_file_shows_its_own_identity(connect, clock):
    connector = connect(Server())
    other = freight_company("Other Freight Inc", clock=clock)
    connector.company = other
    server = connector.http._transport.handler
    assert connector.run_once().outcome == "ok"
    hcp = server.parameters("sendRequestXML")[0]["strHCPResponse"]
    assert "Other Freight Inc" in hcp
    assert FILE not in hcp


def test_another_computer_holds_the_lock(connect, company):
    connector = connect(Server())
    company.state.data_ext[OWNER]["AppLock"] = "LOCKED:OTHER-PC:1"
    assert connector.run_once().outcome == "locked"
    assert company.state.data_ext[OWNER]["AppLock"] == "LOCKED:OTHER-PC:1"


def test_a_computer_may_work_beside_a_lock_that_was_left_behind(connect, company):
    connector = connect(Server(), keeps_off_locked=False)
    company.state.data_ext[OWNER]["AppLock"] = "LOCKED:OTHER-PC:1"
    assert connector.run_once().outcome == "ok"


def test_a_computer_calls_the_file_by_its_own_path(connect):
    server = Server()
    connect(server, opened_as="Q:\\Books\\Ridgeline.qbw").run_once()
    [path] = [values["strCompanyFileName"] for method, values in server.seen if method == "sendRequestXML"]
    assert path == "Q:\\Books\\Ridgeline.qbw"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("clientVersion", "QBWC1036"),
        ("authenticate", "QBWC1012"),
        ("sendRequestXML", "QBWC1041"),
        ("receiveResponseXML", "QBWC1042"),
        ("closeConnection", "QBWC1044"),
    ],
)
def test_a_cut_connection_ends_the_update_there(connect, when, method, code):
    server, cuts = Server(), Cuts()
    getattr(cuts, when)(method)
    connector = connect(server, cuts=cuts)
    report = connector.run_once()
    assert (report.outcome, report.code, report.methods[-1]) == ("failed", code, method)
    assert (method in [name for name, _ in server.seen]) == (when == "after")
    assert connector.run_once().outcome == "ok"


def test_cuts_count_calls_of_any_method(connect):
    server = Server()
    report = connect(server, cuts=Cuts().after(nth=4)).run_once()
    assert report.methods[-1] == "sendRequestXML"
    assert len(server.seen) == 4


INVOICE = document(
    "<InvoiceAddRq><InvoiceAdd><CustomerRef><FullName>Pinnacle Paper</FullName></CustomerRef></InvoiceAdd>"
    "</InvoiceAddRq>"
)


def test_a_cut_after_quickbooks_posted_leaves_the_invoice(connect, company):
    report = connect(Server(sendRequestXML=[INVOICE]), cuts=Cuts().before("receiveResponseXML")).run_once()
    assert report.outcome == "failed"
    assert len(company.invoices) == 1


def test_a_crash_is_reported_or_not(connect, company):
    server = Server(sendRequestXML=[INVOICE])
    company.faults.crash_before_commit()
    connect(server).run_once()
    assert server.parameters("receiveResponseXML")[0]["hresult"] == "0x80010108"
    company.faults.crash_after(1, hresult=None)
    report = connect(server).run_once()
    assert (report.outcome, report.methods[-1]) == ("crashed", "sendRequestXML")
    assert len(company.invoices) == 1


def test_cookies_do_not_outlive_a_session(connect):
    connector = connect(Server())
    connector.http.cookies.set("session", "1")
    connector.run_once()
    assert not connector.http.cookies


@pytest.mark.parametrize(("status", "passes"), [(200, True), (204, True), (405, False), (301, False)])
def test_the_probe_wants_200_or_204(connect, status, passes):
    server = Server()
    server.get_status = status
    connector = connect(server)
    if passes:
        connector.probe()
        return
    with pytest.raises(QwcError) as caught:
        connector.probe()
    assert caught.value.code == "QBWC1048"


def test_the_command_keeps_the_company_file(tmp_path):
    qwc = tmp_path / "ridgeline.qwc"
    qwc.write_text(
        "<QBWCXML><AppName>TMS Export</AppName><AppID/><AppURL>http://localhost/qbwc</AppURL>"
        "<AppDescription>x</AppDescription><AppSupport>http://localhost/help</AppSupport>"
        f"<UserName>ridgeline</UserName><OwnerID>{OWNER}</OwnerID><FileID>{FILE}</FileID><QBType>QBFS</QBType></QBWCXML>"
    )
    kept, said, waits = tmp_path / "company.json", [], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    with httpx.Client(transport=httpx.MockTransport(Server(sendRequestXML=[INVOICE]))) as http:
        simulate(qwc, "secret", 30, kept, once=True, echo=said.append, http=http)
        report = simulate(qwc, "secret", 30, kept, echo=said.append, http=http, sleep=sleep)
    assert report is not None
    assert report.outcome == "ok"
    assert waits == [30, 30]
    assert said[0].startswith("TMS Export: 0 invoices")
    assert any("posted Invoice 1001 Pinnacle Paper" in line for line in said)
    assert said[-1] == "stopped"
    assert len(CompanyFile.load(kept, clock=lambda: None).invoices) == 3


def test_two_commands_play_two_companies(tmp_path):
    """Each under its own name and path, so that the second is not refused as the first one's file."""
    seen = []
    for app_name, name in (("TMS.ai Acme", None), ("TMS.ai Bolt", None), ("TMS.ai Bolt", "Bolt Freight LLC")):
        qwc = tmp_path / "one.qwc"
        qwc.write_text(
            f"<QBWCXML><AppName>{app_name}</AppName><AppID/><AppURL>http://localhost/qbwc</AppURL>"
            "<AppDescription>x</AppDescription><AppSupport>http://localhost/help</AppSupport>"
            f"<UserName>one</UserName><OwnerID>{OWNER}</OwnerID><FileID>{FILE}</FileID><QBType>QBFS</QBType></QBWCXML>"
        )
        kept = tmp_path / f"{len(seen)}.json"
        with httpx.Client(transport=httpx.MockTransport(Server(sendRequestXML=[INVOICE]))) as http:
            simulate(qwc, "secret", 30, kept, once=True, echo=lambda _: None, http=http, name=name)
        state = CompanyFile.load(kept, clock=lambda: None).state
        seen.append((state.name, state.path))
    assert [one for one, _ in seen] == ["TMS.ai Acme", "TMS.ai Bolt", "Bolt Freight LLC"]
    assert len({path for _, path in seen}) == 3
