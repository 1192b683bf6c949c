"""Suggestions for what documents use and the mapping lacks: what they are drawn from, and accepting them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from activities.company_lists import lists_near, loaded_lists
from mapping.documents import CarrierBill, Invoice, parse_document
from mapping.fits import fits
from mapping.fitting import without_class
from mapping.known_lists import KnownLists
from mapping.links import excerpt, links_of
from mapping.lists import CompanyFacts, ListKind
from mapping.names import same_words
from mapping.roles import Role
from mapping.rules import CompanyMapping
from mapping.suggestions import Candidate, Choice, Suggestion, suggest
from mapping.unmapped import Side, Unmapped, unmapped
from store import companies, worklist
from store.tables import Company
from tms_api.companies import require_company
from tms_api.problems import ProblemError
from tms_api.saving import Entry, accepted, put_entries
from tms_api.services import ApiServices
from tms_api.suggestion_models import (
    AcceptedSuggestions,
    AcceptRequest,
    LeftSuggestion,
    LinkedSuggestion,
    SuggestionList,
)

DOCUMENTS_MAX = 2_000
"""The newest documents tell what is in use; older ones would only repeat them."""
_PARTIES = {ListKind.CUSTOMER, ListKind.VENDOR}
"""Lists of tens of thousands, whose entries fit by themselves; items need the whole list of accounts."""
OTHERS_MAX = 50
"""Companies whose choices for the same codes are looked at."""
ALIKE_MIN = 3
"""So many of them have to link a code alike before it is told to one more."""


def suggestions(services: ApiServices, company_id: str, posted: Sequence[Mapping[str, Any]]) -> SuggestionList:
    """Give what is missing in the mapping for the documents that were seen, and for those that are posted."""
    with services.database.transaction() as session:
        company = require_company(session, company_id)
        items, lists = _found(session, company, posted)
        return SuggestionList(items=items, lists_known=any(lists.is_known(kind) for kind in ListKind))


def accept_one(
    services: ApiServices, company_id: str, section: str, key: str, list_id: str, *, author: str = ""
) -> AcceptedSuggestions:
    """Link one code to one entry, in every place where that is missing and the entry fits."""
    with services.database.transaction() as session:
        company = require_company(session, company_id, lock=True)
        lists = loaded_lists(session, company_id)
        mapping = accepted(company.mapping)
        missing = _missing(_documents(session, company, ()), mapping)
        wanted = [found for found in missing if (found.section, found.key) == (section, key)]
        places = wanted or [_anew(section, key, role) for role in _ROLES[section]]
        linked = []
        for place in places:
            for role in _BILL_ROLES if place.role is Role.BILL_ITEM else (place.role,):
                entry = lists.by_list_id(role.kind, list_id)
                if entry is not None and fits(entry, role, lists):
                    linked.append(_linked(place, entry.kind, entry.list_id, entry.full_name, None))
                    break
        if linked:
            retrying = put_entries(services, session, company, _entries(mapping, linked), author=author).retrying
            done = {(link.section, link.key, link.side) for link in linked}
            left = [place for place in wanted if (place.section, place.key, place.side) not in done]
            return _answer(retrying, linked, [_left(place, "The entry does not fit there.") for place in left])
        # Saving it as it is says what is wrong with it.
        kind = _kind_of(list_id, lists, [place.role for place in places])
        link = _linked(places[0], kind, list_id, list_id, None)
        put_entries(services, session, company, _entries(mapping, [link]), author=author)
        raise ProblemError(409, "lists_not_known", "QuickBooks' lists did not come over yet; map by name until then.")


def accept_above(
    services: ApiServices,
    company_id: str,
    min_score: int,
    posted: Sequence[Mapping[str, Any]],
    *,
    section: str | None = None,
    author: str = "",
) -> AcceptedSuggestions:
    """Link everything, or all of one section, whose best candidate has at least this score and no equal rival."""
    with services.database.transaction() as session:
        company = require_company(session, company_id, lock=True)
        linked, left = [], []
        items, _ = _found(session, company, posted)
        for item in items:
            if section is not None and item.section != section:
                continue
            best = item.candidates[0] if item.candidates else None
            reason = reason_against(item.candidates, min_score)
            if best is None or reason is not None:
                left.append(
                    LeftSuggestion(
                        section=item.section, key=item.key, side=item.side, name=item.name, reason=reason or ""
                    )
                )
            else:
                linked.append(
                    LinkedSuggestion(
                        section=item.section,
                        key=item.key,
                        side=item.side,
                        kind=best.kind,
                        list_id=best.list_id,
                        full_name=best.full_name,
                        score=best.score,
                    )
                )
        if not linked:
            return AcceptedSuggestions(linked=[], left=left, retrying=0)
        entries = _entries(accepted(company.mapping), linked)
        return _answer(put_entries(services, session, company, entries, author=author).retrying, linked, left)


_ROLES = {
    "charges": (Role.INVOICE_ITEM, Role.BILL_ITEM),
    "customers": (Role.CUSTOMER,),
    "carriers": (Role.VENDOR,),
    "terms": (Role.TERMS,),
    "classes": (Role.CLASS,),
}
_BILL_ROLES = (Role.BILL_ITEM, Role.BILL_ACCOUNT)


def _anew(section: str, key: str, role: Role) -> Unmapped:
    side: Side | None = None
    if section == "charges":
        side = "invoice" if role is Role.INVOICE_ITEM else "carrier_bill"
    return Unmapped(section=section, key=key, side=side, role=role, name=key, uses=0)


def _kind_of(list_id: str, lists: KnownLists, roles: Iterable[Role]) -> ListKind:
    kinds = [
        kind
        for role in roles
        for kind in ((ListKind.ITEM, ListKind.ACCOUNT) if role is Role.BILL_ITEM else (role.kind,))
    ]
    return next((kind for kind in kinds if lists.by_list_id(kind, list_id) is not None), kinds[0])


def reason_against(candidates: Sequence[Candidate], min_score: int) -> str | None:
    """Say why the best candidate is not accepted without a person; None: it is."""
    if not candidates:
        return "QuickBooks has nothing of a similar name."
    if len(candidates) > 1 and candidates[1].score == candidates[0].score:
        return "Two candidates are equally likely."
    if candidates[0].score < min_score:
        return f"The best candidate has only {candidates[0].score}."
    return None


def _found(
    session: Session, company: Company, posted: Sequence[Mapping[str, Any]]
) -> tuple[list[Suggestion], KnownLists]:
    documents = _documents(session, company, posted)
    mapping = accepted(company.mapping)
    lists = loaded_lists(session, company.id)
    return suggest(_missing(documents, mapping), lists, _history(session, company, mapping, documents)), lists


def _documents(session: Session, company: Company, posted: Sequence[Mapping[str, Any]]) -> list[Invoice | CarrierBill]:
    seen = [*posted, *worklist.recent_documents(session, company.id, limit=DOCUMENTS_MAX)]
    parsed = (parse_document(data) for data in seen)
    facts = CompanyFacts.model_validate(company.preferences or {})
    return [without_class(document, facts) for document in parsed if not isinstance(document, list)]


def seen_documents(session: Session, company: Company) -> list[Invoice | CarrierBill]:
    """Give the newest documents that can be read, handed over or exported: they tell what is in use."""
    return _documents(session, company, ())


def suggested_for(
    session: Session, company: Company, missing: Sequence[Unmapped], documents: Sequence[Invoice | CarrierBill]
) -> list[Suggestion]:
    """Give the likely entries for some of what is missing; only what it needs of the lists is read."""
    if not missing:
        return []
    roles = {one.role for one in missing}
    kinds = {role.kind for role in roles} | (
        {ListKind.ACCOUNT} if roles & {Role.INVOICE_ITEM, Role.BILL_ITEM} else set()
    )
    history = _history(session, company, accepted(excerpt(company.mapping, *documents)), documents)
    names = {one.name for one in missing} | _chosen_for(missing, history)
    near = lists_near(session, company.id, kinds & _PARTIES, names)
    return suggest(missing, loaded_lists(session, company.id, kinds - _PARTIES, near), history)


def _chosen_for(missing: Sequence[Unmapped], history: Sequence[Choice]) -> set[str]:
    wanted = {(one.section, same_words(text)) for one in missing for text in (one.key, one.name)}
    return {
        choice.full_name
        for choice in history
        if any((choice.section, same_words(text)) in wanted for text in (choice.key, choice.name))
    }


def _missing(documents: Sequence[Invoice | CarrierBill], mapping: CompanyMapping) -> list[Unmapped]:
    return unmapped(documents, mapping)


def _history(
    session: Session, company: Company, mapping: CompanyMapping, documents: Sequence[Invoice | CarrierBill]
) -> list[Choice]:
    chosen = {
        (link.section, link.key, link.name, link.target.full_name): None
        for document in documents
        for link in links_of(document, mapping)
        if link.target is not None and link.target.full_name is not None and not link.is_default
    }
    for code, rule in mapping.charges.items():
        for side in (rule.invoice, rule.carrier_bill):
            target = None if side is None else side.item or getattr(side, "account", None)
            if target is not None and target.full_name is not None:
                chosen["charges", code, code, target.full_name] = None
    own = [Choice(section=s, key=k, name=n, full_name=f, is_own=True) for s, k, n, f in chosen]
    return own + _usual_choices(session, company)


def _usual_choices(session: Session, company: Company) -> list[Choice]:
    """Give what several others link alike. Codes and terms are words of the trade; customers and carriers stay theirs.

    What fewer do is theirs, too: whoever asks could otherwise try out codes and names, and read from the scores what
    one other company calls its accounts.
    """
    alike = Counter(
        found
        for section in ("charges", "terms")
        for part in companies.mapping_sections(session, section, besides=company.id, limit=OTHERS_MAX)
        for found in {(section, key, name) for key, entry in part.items() for name in _names_in(entry)}
    )
    return [
        Choice(section=section, key=key, name=key, full_name=name, is_own=False)
        for (section, key, name), times in alike.items()
        if times >= ALIKE_MIN
    ]


def _names_in(entry: Any) -> list[str]:
    """Give every full name in an entry, whatever its shape."""
    if not isinstance(entry, dict):
        return []
    own = [entry["full_name"]] if isinstance(entry.get("full_name"), str) else []
    return own + [name for part in entry.values() for name in _names_in(part)]


def _linked(place: Unmapped, kind: ListKind, list_id: str, full_name: str, score: int | None) -> LinkedSuggestion:
    return LinkedSuggestion(
        section=place.section,
        key=place.key,
        side=place.side,
        kind=kind,
        list_id=list_id,
        full_name=full_name,
        score=score,
    )


def _left(place: Unmapped, reason: str) -> LeftSuggestion:
    return LeftSuggestion(section=place.section, key=place.key, side=place.side, name=place.name, reason=reason)


def _entries(mapping: CompanyMapping, linked: Sequence[LinkedSuggestion]) -> list[Entry]:
    bodies: dict[tuple[str, str], dict[str, Any]] = {}
    for link in linked:
        target = {"list_id": link.list_id}
        if link.section != "charges":
            bodies[link.section, link.key] = target
            continue
        rule = mapping.charges.get(link.key)
        body = bodies.setdefault(("charges", link.key), rule.model_dump(mode="json") if rule is not None else {})
        is_account = link.kind is ListKind.ACCOUNT
        body[str(link.side)] = {"account": target} if is_account else {"item": target}
    return [Entry(section, key, body) for (section, key), body in bodies.items()]


def _answer(retrying: int, linked: list[LinkedSuggestion], left: list[LeftSuggestion]) -> AcceptedSuggestions:
    return AcceptedSuggestions(linked=linked, left=left, retrying=retrying)


def accept(services: ApiServices, company_id: str, body: AcceptRequest) -> AcceptedSuggestions:
    """Accept one suggestion, or all above a score."""
    if body.min_score is not None:
        return accept_above(services, company_id, body.min_score, body.documents)
    return accept_one(services, company_id, str(body.section), str(body.key), str(body.list_id))
