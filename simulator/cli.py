"""Runs the simulated QuickBooks computer from a command line, until it is stopped."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx

from .company import CompanyFile
from .qwc import load_qwc
from .report import UpdateReport
from .sample_company import freight_company
from .web_connector import WebConnector

_TIMEOUT_SECONDS = 100.0


def _now() -> datetime:
    return datetime.now(UTC).astimezone()


def simulate(
    qwc_path: Path | str,
    password: str,
    every_s: float,
    company_path: Path | str | None = None,
    once: bool = False,
    echo: Callable[[str], object] = print,
    *,
    name: str | None = None,
    http: httpx.Client | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> UpdateReport | None:
    """Poll as an Auto-Run Web Connector would and tell each update in a few lines.

    A new company file bears `name`, else the application's of the .qwc, so two companies never show one name and path.
    It is kept at `company_path` between runs when one is given. Returns the last report, after one
    update with `once`, otherwise when interrupted from the keyboard.
    """
    qwc = load_qwc(qwc_path)
    kept = Path(company_path) if company_path else None
    if kept and kept.exists():
        company = CompanyFile.load(kept, clock=_now)
    else:
        company = freight_company(name or qwc.app_name, clock=_now)
    client = http or httpx.Client(timeout=_TIMEOUT_SECONDS)
    connector = WebConnector(qwc, password, company, http=client, sleep=sleep)
    echo(f"{company.name}: {len(company.invoices)} invoices, {len(company.bills)} bills; polling {qwc.app_url}")
    report: UpdateReport | None = None
    try:
        while True:
            known = len(company.ledger)
            report = connector.run_once()
            _tell(company, known, report, echo)
            if kept:
                company.save(kept)
            if once:
                break
            sleep(max(every_s, report.minimum_wait or 0))
    except KeyboardInterrupt:
        echo("stopped")
    finally:
        if kept:
            company.save(kept)
        if http is None:
            client.close()
    return report


def _tell(company: CompanyFile, known: int, report: UpdateReport, echo: Callable[[str], object]) -> None:
    for entry in company.ledger[known:]:
        name = company.full_name(entry.entity)
        echo(f"  posted {entry.kind} {entry.ref_number or '(no number)'} {name} {entry.total:.2f} as {entry.txn_id}")
    code = f" {report.code}" if report.code else ""
    echo(f"{report.outcome}{code}: {report.status} ({report.count} calls, {report.requests_processed} requests)")
