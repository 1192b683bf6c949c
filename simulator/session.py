"""One session of one application with a company file: ProcessRequest (qbxml.md 1, 4.3, 7)."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from lxml import etree

from . import company_answers, message_sets
from .answers import Answers, spoil
from .errors import (
    DISCONNECTED,
    DISCONNECTED_TEXT,
    NO_MATCH,
    NOT_PROCESSED,
    OK,
    QuickBooksCrash,
    QuickBooksError,
    RequestProblem,
    Status,
    missing_element,
)
from .faults import CrashPlan
from .posting import post
from .queries import Found, find_deleted, find_entries, find_transactions, is_cut
from .records import ListObject, Posted
from .structure import MessageSet, Request, read_document
from .values import check_values, is_true

if TYPE_CHECKING:
    from .company import Clock, CompanyFile

_ITERATORS = UUID("5f0a4d6e-5d0c-4d5b-9a55-6f2c6d3a9a10")
_NO_ROWS = Found(OK, ())
_LISTS = {
    "CustomerQueryRq": "customers",
    "VendorQueryRq": "vendors",
    "ItemQueryRq": "items",
    "AccountQueryRq": "accounts",
    "TermsQueryRq": "terms",
    "ClassQueryRq": "classes",
    "SalesTaxCodeQueryRq": "tax_codes",
    "TemplateQueryRq": "templates",
}


class Session:
    """Between BeginSession and EndSession; iterators live no longer than this (qbxml.md 4.3)."""

    def __init__(self, company: "CompanyFile", app_name: str, clock: "Clock | None" = None) -> None:
        """`clock` is that of the computer which opens the file, when it is not the file's own."""
        self._company = company
        self._clock = clock
        self._app_name = app_name
        self._answers = Answers(company)
        self._iterators: dict[str, tuple[Sequence[ListObject | Posted], int]] = {}
        self._opened_iterators = 0
        self._is_open = True

    def close(self) -> None:
        """EndSession; iterators end with it."""
        self._is_open = False
        self._iterators.clear()

    def process_request(self, text: str) -> str:
        """Answer a qbXML document.

        Raises QuickBooksError when the document as a whole is refused and QuickBooksCrash when a crash was ordered.
        """
        if not self._is_open:
            raise QuickBooksError(DISCONNECTED, DISCONNECTED_TEXT)
        document = read_document(
            text,
            refuse_literal_non_ascii=self._company.switches.refuse_literal_non_ascii,
            abroad=self._company.is_abroad,
        )
        with self._own_clock():
            return self._process(document)

    @contextlib.contextmanager
    def _own_clock(self) -> Iterator[None]:
        """The times in the file are those of the computer that writes them."""
        company, shared = self._company, self._company.clock
        company.clock = self._clock or shared
        try:
            yield
        finally:
            company.clock = shared

    def _process(self, document: MessageSet) -> str:
        self._company.faults.on_document((request.name for request in document.requests), document.text)
        writes = any(request.writes for request in document.requests)
        plan = CrashPlan(hang=self._company.faults.take_hang()) if writes else CrashPlan()
        plan.reach("before_judged")
        verdict = message_sets.judge(self._company, self._app_name, document)
        if verdict.stored_response is not None:
            return verdict.stored_response
        if not verdict.runs:
            return _document(document, verdict.status, [])
        if writes:
            plan = replace(self._company.faults.take_crash(), hang=plan.hang)
        try:
            return self._run(document, verdict.status, plan)
        except QuickBooksCrash:
            self.close()
            raise

    def _run(self, document: MessageSet, status: int | None, plan: CrashPlan) -> str:
        plan.reach("before_commit")
        plan.reach("after_commits", 0)
        answers: list[etree._Element] = []
        commits, failed = 0, False
        for request in document.requests:
            if failed and document.stops_on_error:
                answers.append(_answer(request, NOT_PROCESSED))
                continue
            odd = self._company.faults.take_odd(request.element[0].findtext("RefNumber")) if request.writes else None
            answer = self._answer(request) if odd is None or odd.is_written else _answer(request, NOT_PROCESSED)
            if request.writes and answer.get("statusCode") == "0":
                commits += 1
                plan.reach("after_commits", commits)
            if odd is not None:
                if odd.status is None:
                    continue
                answer = _answer(request, odd.status)
            failed = failed or answer.get("statusSeverity") == "Error"
            if not document.wants_data:
                del answer[:]
            answers.append(answer)
        plan.reach("before_record")
        if document.new_id is not None and self._company.faults.loses_record():
            return _document(document, 9005, answers)
        response = _document(document, status, answers)
        message_sets.remember(self._company, self._app_name, document, response)
        plan.reach("after_record")
        return response

    def _answer(self, request: Request) -> etree._Element:
        try:
            check_values(request)
            if request.writes:
                added = post(self._company, request.element[0])
                answer = _answer(request, OK)
                answer.append(self._answers.transaction(added, with_lines=True))
            else:
                self._company.faults.on_post(request.name)
                answer = self._query(request)
        except RequestProblem as problem:
            return _answer(request, problem.status)
        _keep_only(answer, [child.text or "" for child in request.element.iterchildren("IncludeRetElement")])
        if not request.writes:
            self._company.faults.lists.on_answer(request.name, request.element, answer)
        return answer

    def _query(self, request: Request) -> etree._Element:
        element = request.element
        single = self._single_answer(request)
        if single is not None:
            answer = _answer(request, OK)
            answer.append(single)
            return answer
        if request.name == "ListDeletedQueryRq":
            return self._deleted(request)
        found, iterator = self._rows(request)
        answer = _answer(request, found.status)
        meta = element.get("metaData", "NoMetaData")
        if meta != "NoMetaData":
            answer.set("retCount", str(len(found.rows)))
        if iterator is not None:
            answer.set("iteratorRemainingCount", str(self._remaining(iterator)))
            answer.set("iteratorID", iterator)
        if meta == "MetaDataOnly":
            return answer
        with_lines = is_true(element.findtext("IncludeLineItems"))
        for row in found.rows:
            answer.append(
                self._answers.list_entry(row)
                if isinstance(row, ListObject)
                else self._answers.transaction(row, with_lines=with_lines)
            )
        if len(answer) and self._company.faults.spoils_row(request.name):
            spoil(answer[len(answer) // 2])
        return answer

    def _deleted(self, request: Request) -> etree._Element:
        entries = find_deleted(self._company, request.element)
        answer = _answer(request, OK if entries else NO_MATCH)
        meta = request.element.get("metaData", "NoMetaData")
        if meta != "NoMetaData":
            answer.set("retCount", str(len(entries)))
        answer.extend(self._answers.deleted(entry) for entry in entries if meta != "MetaDataOnly")
        return answer

    def _single_answer(self, request: Request) -> etree._Element | None:
        element, company = request.element, self._company
        match request.name:
            case "HostQueryRq":
                wanted = element.findtext("IncludeListMetaData/IncludeMaxCapacity")
                return company_answers.host(company, is_true(wanted))
            case "CompanyQueryRq":
                owners = [child.text or "" for child in element.iterchildren("OwnerID")]
                return company_answers.company(company, owners)
            case "PreferencesQueryRq":
                return company_answers.preferences(company)
            case "CompanyActivityQueryRq":
                return company_answers.activity(company)
        return None

    def _rows(self, request: Request) -> tuple[Found, str | None]:
        """The rows of one page and the iterator they belong to (qbxml.md 4.3)."""
        element, action = request.element, request.element.get("iterator")
        if action is None:
            return self._find(request, paged=False), None
        limit = element.findtext("MaxReturned")
        if not limit and action != "Stop":
            raise missing_element("MaxReturned")
        if action == "Start":
            found = self._find(request, paged=True)
            self._opened_iterators += 1
            name = f"{self._app_name}/{self._company.stamp()}/{self._opened_iterators}"
            iterator = f"{{{uuid5(_ITERATORS, name)}}}"
            waiting, start = found.rows, 0
        else:
            iterator = element.get("iteratorID", "")
            if self._company.faults.forgets_iterator(request.name):
                self._iterators.pop(iterator, None)
            if iterator not in self._iterators:
                code = self._company.switches.iterator_code
                raise RequestProblem(code, f'The iteratorID "{iterator}" is not valid.')
            found = _NO_ROWS
            waiting, start = self._iterators[iterator]
        if action == "Stop":
            del self._iterators[iterator]
            return _NO_ROWS, iterator
        end = start + int(limit or 0)
        self._iterators[iterator] = (waiting, end)
        if end >= len(waiting):
            del self._iterators[iterator]
        page = waiting[start:end]
        return Found(found.status, page), iterator

    def _remaining(self, iterator: str) -> int:
        rows, position = self._iterators.get(iterator, ((), 0))
        return len(rows) - position

    def _find(self, request: Request, *, paged: bool) -> Found:
        company, state, element = self._company, self._company.state, request.element
        if request.name == "InvoiceQueryRq":
            return find_transactions(company, company.invoices, state.customers, element, paged=paged)
        if request.name == "BillQueryRq":
            return find_transactions(company, company.bills, state.vendors, element, paged=paged)
        name = _LISTS[request.name]
        entries: Sequence[ListObject] = getattr(state, name)
        if is_cut(element):
            entries = company.index.in_order(state, name)
            if name == "items" and company.switches.items_by_type:
                kinds = {item.list_id: item.kind for item in state.items}
                entries = sorted(entries, key=lambda entry: kinds[entry.list_id])
        return find_entries(company, entries, element, paged=paged)


def _answer(request: Request, status: Status) -> etree._Element:
    answer = etree.Element(request.name[:-1] + "s")
    if request.request_id is not None:
        answer.set("requestID", request.request_id)
    answer.set("statusCode", str(status.code))
    answer.set("statusSeverity", status.severity)
    answer.set("statusMessage", status.message)
    return answer


def _keep_only(answer: etree._Element, names: list[str]) -> None:
    """IncludeRetElement limits each Ret to the named elements (qbxml.md 3)."""
    for ret in answer if names else ():
        for child in list(ret):
            if child.tag not in names:
                ret.remove(child)


def _document(document: MessageSet, status: int | None, answers: list[etree._Element]) -> str:
    root = etree.Element("QBXML")
    message_set = etree.SubElement(root, "QBXMLMsgsRs")
    if status is not None:
        if document.new_id is not None:
            message_set.set("newMessageSetID", document.new_id)
        message_set.set("messageSetStatusCode", str(status))
    message_set.extend(answers)
    return '<?xml version="1.0" ?>\n' + etree.tostring(root, encoding="unicode")
