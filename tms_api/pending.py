"""What a person checks while an export waits for the Web Connector, and what is known of each point."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from store.tables import Company
from tms_api.companies import require_company
from tms_api.connection import ConnectionState, connection_state
from tms_api.services import ApiServices

INTERVALS = 3
"""Calls of the Web Connector for which an answer of QuickBooks counts as new."""


class Check(NamedTuple):
    """One thing to look at."""

    title: str
    text: str
    is_known_good: bool
    """The last contact shows that it works; otherwise somebody has to look."""


def checks_of(services: ApiServices, company_id: str) -> list[Check]:
    """Give it for a company as it stands."""
    with services.database.transaction() as session:
        company = require_company(session, company_id)
        return checks(company, services.clock(), soap_url=services.public_soap_url)


def checks(company: Company, now: datetime, *, soap_url: str) -> list[Check]:
    """Give what can keep a Web Connector from calling, in the order in which it is worth looking."""
    calls = connection_state(company, now) is ConnectionState.CONNECTED
    was_here = company.last_seen_at is not None
    # A call of the Web Connector says nothing of QuickBooks: only an answer of QuickBooks does.
    taken_at = company.last_success_at
    answers = (
        calls and taken_at is not None and now - taken_at < INTERVALS * timedelta(minutes=company.run_every_minutes)
    )
    file = company.bound_company_file
    return [
        Check(
            "QuickBooks is open",
            f"On the QuickBooks PC, somebody is signed in to Windows, and {file or 'the company file'} is open or may "
            "be opened by the Web Connector. No dialog waits for an answer.",
            answers,
        ),
        Check(
            "The Web Connector is set up",
            f"It runs, this company is ticked in it, and Auto-Run is on every {company.run_every_minutes} minutes.",
            calls,
        ),
        Check(
            "No firewall stands between",
            f"The PC reaches {soap_url}: open that address in its browser.",
            calls or was_here,
        ),
        Check(
            "The versions fit",
            f"Web Connector {company.web_connector_version}."
            if company.web_connector_version
            else f"QuickBooks Desktop {company.quickbooks_release} with Web Connector 2.3 or newer.",
            bool(company.web_connector_version),
        ),
    ]
