"""A document held against a company as it is stored: one check for previews, new exports, retries and the workflow."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.orm import Session

from activities.company_lists import StoreLists
from mapping.dispatch import check_document
from mapping.documents import CarrierBill, Invoice, parse_document, party_of
from mapping.issues import Issue
from mapping.links import awaited_by_issues, awaited_by_refusal, excerpt
from mapping.result import Mapped
from mapping.rules import parse_mapping, rules_for
from mapping.sent import frozen
from store import exports
from store.tables import Company, Export
from workflows.contracts import Failure

UNSENT_GUID = "{00000000-0000-0000-0000-000000000000}"
"""Stands where a transaction has its own: nothing is built to be sent."""


def checked(
    session: Session, company: Company, document: Invoice | CarrierBill, *, external_guid: str
) -> Mapped | list[Issue]:
    """Map a document and check everything that can be known before QuickBooks sees it."""
    return checked_with(session, company, document, StoreLists(session, company.id), external_guid=external_guid)


def checked_with(
    session: Session,
    company: Company,
    document: Invoice | CarrierBill,
    lists: StoreLists,
    *,
    external_guid: str = UNSENT_GUID,
) -> Mapped | list[Issue]:
    """Do the same with lists that several documents share."""
    rules = rules_for(
        excerpt(company.mapping, document),
        country=company.country,
        ref_number_rule=company.ref_number_rule,
        facts=lists.facts,
    )
    if isinstance(rules, list):
        return rules
    taken = exports.numbers_of_others(
        session, company_id=company.id, kind=document.kind, party_id=party_of(document), document_id=document.id
    )
    mapped = check_document(document, rules, lists, taken=taken, external_guid=external_guid)
    return replace(mapped, sent=frozen(document, mapped, rules)) if isinstance(mapped, Mapped) else mapped


def awaited(session: Session, row: Export, failure: Failure) -> list[str]:
    """Name the entries of the mapping, as `section/key`, that a failed export waits for; none when none can help."""
    company = session.get(Company, row.company_id)
    document = parse_document(row.document)
    if company is None or isinstance(document, list):
        return []
    mapping = parse_mapping(excerpt(company.mapping, document))
    if isinstance(mapping, list):
        return []
    if failure.issues:
        return awaited_by_issues(document, mapping, failure.issues)
    return awaited_by_refusal(document, mapping, failure.code, failure.message)
