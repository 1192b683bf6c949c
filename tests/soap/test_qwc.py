from __future__ import annotations

from dataclasses import replace

import pytest
from lxml import etree

from qbwc_bridge.qwc import QwcInput, QwcProblem, build_qwc

DATA = QwcInput(
    app_name="TMS Export Acme",
    app_url="https://qb.example.com/qbwc",
    app_support="https://QB.example.com/support/acme",
    user_name="acme",
    owner_id="{90A44FB7-33D9-4815-AC85-AC86A7E7D1EB}",
    file_id="57f3b9b6-86f1-4fcc-b1ff-966de1813d20",
    description="Invoices & bills of Café Acme",
    run_every_minutes=15,
)


def test_the_whole_file() -> None:
    text = build_qwc(DATA)
    assert text.isascii()
    assert text.startswith('<?xml version="1.0"?>\n<QBWCXML>\n')
    root = etree.fromstring(text.encode())
    assert {child.tag: child.text for child in root if child.tag != "Scheduler"} == {
        "AppName": "TMS Export Acme",
        "AppID": None,
        "AppURL": "https://qb.example.com/qbwc",
        "AppDescription": "Invoices & bills of Café Acme",
        "AppSupport": "https://QB.example.com/support/acme",
        "UserName": "acme",
        "OwnerID": "{90a44fb7-33d9-4815-ac85-ac86a7e7d1eb}",
        "FileID": "{57f3b9b6-86f1-4fcc-b1ff-966de1813d20}",
        "QBType": "QBFS",
        "PersonalDataPref": "pdpNotNeeded",
        "UnattendedModePref": "umpOptional",
        "IsReadOnly": "false",
    }
    assert root.findtext("Scheduler/RunEveryNMinutes") == "15"


def test_the_same_input_gives_the_same_file() -> None:
    assert build_qwc(DATA) == build_qwc(replace(DATA))


def test_localhost_may_go_without_https() -> None:
    build_qwc(replace(DATA, app_url="http://localhost:8080/qbwc", app_support="http://localhost:8080/support/acme"))


def test_a_long_description_is_cut() -> None:
    root = etree.fromstring(build_qwc(replace(DATA, description="x" * 200)).encode())
    assert root.findtext("AppDescription") == "x" * 80


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"app_url": "http://qb.example.com/qbwc"}, "https"),
        ({"app_support": "http://qb.example.com/support"}, "https"),
        ({"app_support": "https://www.example.com/support"}, "same host"),
        ({"app_url": "https://10.0.0.1/qbwc", "app_support": "https://10.0.0.1/s"}, "IP address"),
        ({"app_url": "https://[::1]/qbwc"}, "IP address"),
        ({"app_url": "https://2130706433/qbwc"}, "IP address"),
        ({"app_url": "http://127.0.0.1/qbwc"}, "IP address"),
        ({"app_url": "ftp://qb.example.com"}, "not a valid URL"),
        ({"app_url": "https://"}, "not a valid URL"),
        ({"app_url": "https://qb.example.com:99999/"}, "not a valid URL"),
        ({"app_url": "https://qb.example.com/a b"}, "not a valid URL"),
        ({"owner_id": "{1}"}, "owner id"),
        ({"file_id": ""}, "file id"),
        ({"user_name": ""}, "user name is missing"),
        ({"user_name": "jürgen"}, "ASCII"),
        ({"app_name": " x"}, "spaces"),
        ({"description": "\0"}, "control characters"),
        ({"run_every_minutes": 0}, "one minute"),
    ],
)
def test_problems(change: dict[str, object], reason: str) -> None:
    with pytest.raises(QwcProblem, match=reason) as caught:
        build_qwc(replace(DATA, **change))  # type: ignore[arg-type]
    assert str(caught.value).endswith(".")
