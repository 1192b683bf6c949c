"""Finds what a reference means, by ListID or by FullName (qbxml.md 3, 7.9)."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from lxml import etree

from .errors import NO_SUCH_RECORD, TYPE_NEEDED, RequestProblem, bad_reference, missing_element
from .records import Account, ListObject

if TYPE_CHECKING:
    from .company import CompanyFile

Entry = TypeVar("Entry", bound=ListObject)


def text_of(element: etree._Element, name: str) -> str | None:
    """The text of a child as QuickBooks stores it, in Windows-1252; None when absent or empty (qbxml.md 5.5)."""
    value = element.findtext(name)
    return value.encode("cp1252", "replace").decode("cp1252") if value else None


def find(entries: Sequence[Entry], list_id: str | None, full_name: str | None) -> Entry | None:
    """The entry meant; a ListID counts before a name, and names are compared without case (qbxml.md 3)."""
    for entry in entries:
        if entry.list_id == list_id if list_id else entry.full_name.lower() == (full_name or "").lower():
            return entry
    return None


def refuse_feature(element: etree._Element, name: str) -> None:
    """What belongs to a preference that is off has no place in a request."""
    if element.find(name) is not None:
        raise RequestProblem(3250, "This feature is not enabled or not available in this version of QuickBooks.")


class References:
    """Resolves the references of one request, which is of one kind of form."""

    def __init__(self, company: "CompanyFile", form: str) -> None:
        self._company = company
        self._form = form

    def resolve(
        self,
        element: etree._Element,
        name: str,
        kind: str,
        entries: Sequence[Entry],
        *,
        in_line: bool = False,
        suits: Callable[[Entry], bool] = lambda _: True,
        why: str = NO_SUCH_RECORD,
    ) -> Entry | None:
        """The entry that a reference names; None when the reference is absent (qbxml.md 6.2: 3140, 3150)."""
        reference = element.find(name)
        if reference is None:
            return None
        list_id, full_name = text_of(reference, "ListID"), text_of(reference, "FullName")
        if not list_id and not full_name:
            if len(reference) or kind in ("Customer", "Vendor"):
                raise missing_element("ListID")
            return None
        found = find(entries, list_id, full_name)
        hidden = found is not None and not found.is_active and self._company.switches.refuse_inactive_references
        if found is None or hidden:
            raise bad_reference(kind, list_id or full_name or "", self._place(in_line))
        if not suits(found):
            raise bad_reference(kind, list_id or full_name or "", self._place(in_line), why)
        return found

    def account(
        self, element: etree._Element, name: str, suits: Callable[[Account], bool], *, in_line: bool = False
    ) -> Account | None:
        """An account of a suitable type."""
        return self.resolve(element, name, "Account", self._company.state.accounts, in_line=in_line, suits=suits)

    def receivable_or_payable(self, element: etree._Element, name: str, account_type: str) -> Account | None:
        """The A/R or A/P account, which QuickBooks calls so and asks for by its type."""
        words = "Accounts Receivable" if account_type == "AccountsReceivable" else "Accounts Payable"
        return self.resolve(
            element,
            name,
            name[:2] + " Account",
            self._company.state.accounts,
            suits=lambda account: account.account_type == account_type,
            why=TYPE_NEEDED.format(words),
        )

    def class_id(self, element: etree._Element, *, in_line: bool = False) -> str | None:
        """The class; what happens while class tracking is off is a switch (qbxml.md 7.13)."""
        if not self._company.preferences.class_tracking:
            if self._company.switches.refuse_class_when_tracking_is_off:
                refuse_feature(element, "ClassRef")
            return None
        found = self.resolve(element, "ClassRef", "Class", self._company.state.classes, in_line=in_line)
        return found.list_id if found else None

    def refuse_lists_not_kept(self, element: etree._Element, names: dict[str, str], *, in_line: bool = False) -> None:
        """References into lists that this company file keeps empty can mean nothing."""
        for name, kind in names.items():
            reference = element.find(name)
            if reference is not None and (value := text_of(reference, "ListID") or text_of(reference, "FullName")):
                raise bad_reference(kind, value, self._place(in_line))

    def _place(self, in_line: bool) -> str:
        return f"{self._form} line" if in_line else self._form
