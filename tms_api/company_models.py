"""What the API says and takes about companies."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from mapping.rules import RefNumberRule
from store.company_standings import CompanyParts
from store.quiet_hours import quiet_until
from store.tables import Company
from tms_api.connect_steps import Step
from tms_api.connection import ConnectionState, diagnose
from tms_api.list_models import ListsView, lists_view
from tms_api.releases import note_on, selectable

LOOK_BEFORE_ADDING = (
    "Whether each document is looked for in QuickBooks by its number before it is added, in case somebody typed it in; "
    "what is found is a person's decision."
)


def _not_dots(company_id: str) -> str:
    # "." and ".." vanish from addresses before they reach any server.
    if not company_id.strip("."):
        raise ValueError("it must hold a letter or digit")
    return company_id


def _no_keyword(path: str) -> str:
    # It stands where authenticate also says these (web-connector.md 1.4): the Web Connector would take it for one.
    if path.lower() in ("none", "nvu", "busy"):
        raise ValueError("it is a word of the Web Connector, not a path")
    return path


def _one_line(value: object) -> object:
    if isinstance(value, str) and any(ord(character) < 32 for character in value):
        raise ValueError("it holds control characters")
    return value


CompanyId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.\-]+$"),
    AfterValidator(_not_dots),
]
# The last annotation runs first: the control characters are looked for before anything is stripped.
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), BeforeValidator(_one_line)
]
CompanyFile = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=1000),
    BeforeValidator(_one_line),
    AfterValidator(_no_keyword),
]
CONFIRMED = "A person read this release in QuickBooks: a newer one than those of /v1/releases is accepted then."
ReleaseText = Annotated[str, StringConstraints(max_length=100), BeforeValidator(_one_line)]
Minutes = Annotated[int, Field(strict=True, ge=1, le=1440)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewCompany(_Model):
    """A company to connect."""

    id: CompanyId | None = Field(default=None, description="Id; made by us when absent.", examples=["acme-logistics"])
    name: Name = Field(description="Name as people know it.", examples=["Acme Logistics LLC"])
    quickbooks_release: ReleaseText = Field(
        description="Release of QuickBooks Desktop on the PC; the last three years are supported.",
        examples=["Enterprise 24.0"],
    )
    release_confirmed: bool = Field(default=False, strict=True, description=CONFIRMED)
    country: Literal["US", "CA", "UK"] = Field(default="US", description="Edition of QuickBooks.")
    run_every_minutes: Minutes = Field(default=15, description="How often the Web Connector calls.", examples=[15])
    look_before_adding: bool = Field(default=True, strict=True, description=LOOK_BEFORE_ADDING)


class CompanyChanges(_Model):
    """What to change; fields that are absent or null stay as they are."""

    name: Name | None = Field(default=None, description="New name.")
    paused: bool | None = Field(default=None, strict=True, description="Whether the Web Connector gets no work.")
    quickbooks_release: ReleaseText | None = Field(
        default=None, description="New release, after QuickBooks was upgraded.", examples=["Enterprise 24.0"]
    )
    release_confirmed: bool | None = Field(default=None, strict=True, description=CONFIRMED)
    run_every_minutes: Minutes | None = Field(
        default=None, description="New interval; download the .qwc file again to apply it on the PC."
    )
    company_file: CompanyFile | None = Field(
        default=None,
        description='Path of the company file on the PC; "" means the file that is open.',
        examples=["C:\\QuickBooks\\Acme.qbw"],
    )
    ref_number_rule: RefNumberRule | None = Field(default=None, description="How a number too long is fitted.")
    look_before_adding: bool | None = Field(default=None, strict=True, description=LOOK_BEFORE_ADDING)
    auto_retry: bool | None = Field(
        default=None, strict=True, description="Whether saving a mapping exports again what waited for it."
    )


class QuickBooksView(BaseModel):
    """The company file that this connection is bound to; empty before the first session."""

    product: str | None = Field(description="Product as QuickBooks names itself.")
    company_name: str | None = Field(description="Company name in the file.")
    company_file: str | None = Field(description="Path of the file on the PC.")
    qbxml_version: str | None = Field(description="qbXML version in use.", examples=["13.0"])


class ConnectionView(BaseModel):
    """The connection to the Web Connector."""

    state: ConnectionState = Field(description="`stale`: not seen for three intervals; `refused`: see `problem`.")
    reason: str = Field(
        description="Why it is so, in one sentence.", examples=["The Web Connector of this company has never called."]
    )
    next_step: str | None = Field(description="What somebody does now; null: nothing.")
    last_seen_at: datetime | None = Field(description="Last call of the Web Connector.")
    last_success_at: datetime | None = Field(description="Last transaction that QuickBooks took.")
    web_connector_version: str | None = Field(description="Version of the Web Connector.")
    quickbooks: QuickBooksView = Field(description="What it is connected to.")
    problem: dict[str, Any] | None = Field(description="What keeps the connection from working.")


class QueueView(BaseModel):
    """How much is under way."""

    waiting: int = Field(description="Requests that wait for the Web Connector.")
    in_flight: int = Field(description="Requests that QuickBooks has, or may have.")


class CompanyView(BaseModel):
    """A connected company."""

    id: str = Field(description="Id.", examples=["acme-logistics"])
    name: str = Field(description="Name.")
    paused: bool = Field(description="Whether the Web Connector gets no work.")
    quickbooks_release: str = Field(description="Release as given.")
    country: str = Field(description="Edition of QuickBooks.")
    run_every_minutes: int = Field(description="How often the Web Connector calls.")
    company_file: str = Field(description='Path that the Web Connector opens; "" means the file that is open.')
    ref_number_rule: str = Field(description="How a number too long is fitted.")
    look_before_adding: bool = Field(description=LOOK_BEFORE_ADDING)
    auto_retry: bool = Field(description="Whether saving a mapping exports again what waited for it.")
    username: str = Field(description="Name with which the Web Connector signs in.")
    qwc_url: str = Field(description="Where the .qwc file is.")
    soap_url: str = Field(description="Where the Web Connector calls.")
    connection: ConnectionView = Field(description="How the Web Connector fares.")
    queue: QueueView = Field(description="How many requests are under way.")
    lists: ListsView = Field(description="How far QuickBooks' lists have come over.")
    notes: list[str] = Field(description="What is worth knowing about this company's release.")
    created_at: datetime = Field(description="When it was connected.")
    quiet_hours: dict[str, str] | None = Field(
        default=None,
        description="{from, until, time_zone}: when nothing is sent to QuickBooks; null: never.",
        examples=[{"from": "22:00", "until": "05:30", "time_zone": "America/Chicago"}],
    )
    quiet_until: datetime | None = Field(
        default=None, description="When the quiet hours end that it is in now; null: it is in none."
    )
    oldest_waiting_at: datetime | None = Field(default=None, description="Since when the oldest request waits.")


class NewCompanyView(CompanyView):
    """A company just connected, with its password and what to do next."""

    password: str | None = Field(
        description="Password for the Web Connector: shown here and never again; null in a repeated answer."
    )
    steps: list[Step] = Field(description="What the user does now, in order.")


class PasswordView(BaseModel):
    """A new password."""

    id: str = Field(description="Company.")
    username: str = Field(description="Name with which the Web Connector signs in.")
    password: str | None = Field(description="New password: shown here and never again; null in a repeated answer.")
    old_password_valid_until: datetime | None = Field(
        description="Until then the old password works, too; null: ended."
    )
    steps: list[Step] = Field(description="What the user does now, in order.")


class PasswordRequest(_Model):
    """How to change the password."""

    grace_minutes: Annotated[int, Field(strict=True, ge=0, le=1440)] | None = Field(
        default=None,
        description="How long the old password works, too; 0 ends it at once, null: as this service is set up.",
        examples=[60],
    )


class NewIdsView(BaseModel):
    """A company with a new pair of ids."""

    id: str = Field(description="Company.")
    owner_id: str = Field(description="New OwnerID.", examples=["{57F3B9B6-86F1-4FCC-B1FF-966DE1813D20}"])
    file_id: str = Field(description="New FileID.", examples=["{90A44FB5-33D9-4815-AC85-BC87A7E7D1EB}"])
    qwc_url: str = Field(description="Where the new .qwc file is.")
    steps: list[Step] = Field(description="What the user does now, in order.")


class StepList(BaseModel):
    """The steps that connect QuickBooks."""

    steps: list[Step] = Field(description="In order.")


class ReleaseView(BaseModel):
    """A release of QuickBooks Desktop."""

    release: str = Field(description="What `quickbooks_release` takes.", examples=["Enterprise 24.0"])
    name: str = Field(description="Its full name.", examples=["QuickBooks Desktop Enterprise 24.0"])
    can_be_chosen: bool = Field(description="Whether it can be connected.")
    supported_until: date | None = Field(description="Last day of Intuit's support; null: no end was announced.")
    is_estimate: bool = Field(description="Whether that day is expected, and not announced by Intuit.")
    reason: str | None = Field(description="Why it cannot be chosen.")


class ReleaseList(BaseModel):
    """The releases for a drop-down, newest first. A newer one that is not in it needs `release_confirmed`."""

    items: list[ReleaseView] = Field(description="Releases.")


class CompanyList(BaseModel):
    """A page of companies, by id."""

    items: list[CompanyView] = Field(description="Companies.")
    cursor: str | None = Field(description="Send it to get the next page; null on the last one.")


def company_view(
    company: Company,
    *,
    now: datetime,
    parts: CompanyParts,
    qwc_url: str,
    soap_url: str,
) -> CompanyView:
    """Show a company."""
    note = note_on(company.quickbooks_release, today=now.date())
    found = diagnose(company, now, soap_url=soap_url, wrong_password_at=parts.wrong_password_at)
    return CompanyView(
        id=company.id,
        name=company.name,
        paused=company.paused,
        quickbooks_release=company.quickbooks_release,
        country=company.country,
        run_every_minutes=company.run_every_minutes,
        company_file=company.company_file,
        ref_number_rule=company.ref_number_rule,
        look_before_adding=company.look_before_adding,
        auto_retry=company.auto_retry,
        username=company.username,
        qwc_url=qwc_url,
        soap_url=soap_url,
        connection=ConnectionView(
            state=found.state,
            reason=found.reason,
            next_step=found.next_step,
            last_seen_at=company.last_seen_at,
            last_success_at=company.last_success_at,
            web_connector_version=company.web_connector_version,
            quickbooks=QuickBooksView(
                product=company.product,
                company_name=company.bound_company_name,
                company_file=company.bound_company_file,
                qbxml_version=company.qbxml_version,
            ),
            problem=company.problem,
        ),
        lists=lists_view(parts.sync, parts.lists),
        queue=QueueView(waiting=parts.waiting, in_flight=parts.in_flight),
        notes=[note] if note else [],
        created_at=company.created_at,
        quiet_hours=company.quiet_hours,
        quiet_until=quiet_until(company.quiet_hours, now),
        oldest_waiting_at=parts.oldest_waiting_at,
    )


def release_list(today: date) -> ReleaseList:
    """Show the table of releases."""
    return ReleaseList(
        items=[
            ReleaseView(
                release=release.text,
                name=release.name,
                can_be_chosen=reason is None,
                supported_until=release.supported_until,
                is_estimate=release.is_estimate,
                reason=reason,
            )
            for release, reason in selectable(today=today)
        ]
    )
