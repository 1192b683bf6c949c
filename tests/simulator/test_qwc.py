import pytest

from simulator.qwc import QwcError, load_qwc, read_qwc

QWC = """<?xml version="1.0"?>
<QBWCXML>
  <AppName>TMS Export</AppName><AppID></AppID><AppURL>https://tms.example.com/qbwc</AppURL>
  <AppDescription>Exports invoices</AppDescription><AppSupport>https://tms.example.com/help</AppSupport>
  <UserName>ridgeline</UserName><OwnerID>{0A1B2C3D-0000-4000-8000-000000000001}</OwnerID>
  <FileID>{0A1B2C3D-0000-4000-8000-000000000002}</FileID><QBType>QBFS</QBType>
  <Scheduler><RunEveryNMinutes>15</RunEveryNMinutes></Scheduler><IsReadOnly>false</IsReadOnly>
</QBWCXML>"""


def test_a_good_file(tmp_path):
    path = tmp_path / "ridgeline.qwc"
    path.write_text(QWC)
    qwc = load_qwc(path)
    assert (qwc.app_name, qwc.user_name, qwc.run_every_seconds) == ("TMS Export", "ridgeline", 900)
    assert not qwc.is_read_only


def test_http_is_for_localhost():
    local = QWC.replace("https://tms.example.com", "http://localhost:8000")
    assert read_qwc(local).app_url == "http://localhost:8000/qbwc"


@pytest.mark.parametrize(
    ("change", "into", "code"),
    [
        ("<AppName>TMS Export</AppName>", "", "QBWC1039"),
        ("<AppID></AppID>", "", "QBWC1039"),
        ("{0A1B2C3D-0000-4000-8000-000000000002}", "0A1B2C3D-0000-4000-8000-000000000002", "QBWC1039"),
        ("<QBType>QBFS", "<QBType>QBXX", "QBWC1039"),
        ("</QBWCXML>", "", "QBWC1039"),
        ("QBWCXML", "Other", "QBWC1039"),
        ("<RunEveryNMinutes>15", "<RunEveryNMinutes>often", "QBWC1039"),
        ("https://tms.example.com/help", "https://help.example.com", "QBWC1000"),
        ("https://tms.example.com/qbwc", "http://tms.example.com/qbwc", "QBWC1010"),
        ("https://tms.example.com/qbwc", "ftp://tms.example.com/qbwc", "QBWC1051"),
    ],
)
def test_a_file_that_would_not_be_added(change, into, code):
    with pytest.raises(QwcError) as caught:
        read_qwc(QWC.replace(change, into))
    assert caught.value.code == code
