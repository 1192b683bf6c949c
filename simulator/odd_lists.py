"""Answers to list queries that are not what they should be: empty, cut, repeated, warned about, with damaged rows."""

from collections import deque
from copy import deepcopy
from dataclasses import dataclass, field

from lxml import etree


@dataclass
class _Odd:
    times: int
    keep: int | None = None
    """So many rows are left; None: all."""
    status: tuple[int, str, str] | None = None
    remaining: str | None = None
    """What iteratorRemainingCount says instead; "" leaves it out."""
    repeats: bool = False


@dataclass
class OddLists:
    """Rules by the name of a query, each used up by the answers it is for; damaged rows stay until they are healed."""

    _rules: dict[str, deque[_Odd]] = field(default_factory=dict)
    _damaged: dict[str, dict[str, str | None]] = field(default_factory=dict)
    _pages: dict[str, list[etree._Element]] = field(default_factory=dict)

    def answer_empty(self, name: str, times: int = 1) -> None:
        """The next answers say that all is well and hold no row; an iterator has nothing left to give."""
        self._add(name, _Odd(times, keep=0, remaining="0"))

    def answer_part(self, name: str, keep: int, times: int = 1) -> None:
        """The next answers hold only the first rows and say that these are all."""
        self._add(name, _Odd(times, keep=keep, remaining="0"))

    def warn(self, name: str, code: int, severity: str, keep: int, times: int = 1) -> None:
        """The next answers hold only the first rows, under a status of their own (qbxml.md 6.1: 500-999)."""
        self._add(name, _Odd(times, keep=keep, status=(code, severity, "The data is not as expected."), remaining="0"))

    def tell_remaining(self, name: str, remaining: str, times: int = 1) -> None:
        """The next answers tell this iteratorRemainingCount; "" leaves the attribute out."""
        self._add(name, _Odd(times, remaining=remaining))

    def repeat_page(self, name: str, times: int = 1) -> None:
        """The next page but one is the page before it once more."""
        self._add(name, _Odd(times, repeats=True))

    def damage(self, list_id: str, element: str, text: str | None) -> None:
        """The row of this entry holds another text in an element, or none of it (None), until `heal`."""
        self._damaged.setdefault(list_id, {})[element] = text

    def heal(self) -> None:
        """All rows are readable again."""
        self._damaged.clear()

    def on_answer(self, name: str, query: etree._Element, answer: etree._Element) -> None:
        """Change an answer as ordered; what was ordered for one answer is used up."""
        self._apply_rule(name, query, answer)
        for row in answer if self._damaged else ():
            for element, text in self._damaged.get(row.findtext("ListID") or "", {}).items():
                found = row.find(element)
                if found is None:
                    continue
                if text is None:
                    row.remove(found)
                else:
                    found.text = text

    def _apply_rule(self, name: str, query: etree._Element, answer: etree._Element) -> None:
        waiting = self._rules.get(name)
        if not waiting or query.get("metaData") == "MetaDataOnly":
            return
        rule = waiting[0]
        if rule.repeats and query.get("iterator") == "Start":
            self._pages[name] = [deepcopy(row) for row in answer]
            return
        rule.times -= 1
        if rule.times <= 0:
            waiting.popleft()
        if rule.repeats:
            answer[:] = self._pages.get(name, [])
        if rule.keep is not None:
            del answer[rule.keep :]
        if rule.status is not None:
            for attribute, value in zip(("statusCode", "statusSeverity", "statusMessage"), rule.status, strict=True):
                answer.set(attribute, str(value))
        elif rule.keep is not None:
            for attribute, value in (("statusCode", "0"), ("statusSeverity", "Info"), ("statusMessage", "Status OK")):
                answer.set(attribute, value)
        if rule.remaining is not None and "iteratorRemainingCount" in answer.attrib:
            if rule.remaining:
                answer.set("iteratorRemainingCount", rule.remaining)
            else:
                del answer.attrib["iteratorRemainingCount"]

    def _add(self, name: str, rule: _Odd) -> None:
        self._rules.setdefault(name, deque()).append(rule)
