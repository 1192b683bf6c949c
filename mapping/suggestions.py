"""Likely QuickBooks entries for what is not linked yet, each with a score and the reason for it.

A score is 0 to 100: 100 is the same name, 90 and more the same words or the same charge in other words, less is
likeness. From 90 on a suggestion is *sure*: it may be accepted without anybody looking at it, so what could be another
firm never is. Numbers or legal forms that differ are another firm, whatever else is alike; a legal form that only one
side writes is not, as long as nobody else in QuickBooks bears the name. Only entries that fit are suggested
(`mapping/fits.py`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

from pydantic import BaseModel, Field
from rapidfuzz import fuzz

from mapping.charge_words import is_cost_of, meaning_of
from mapping.fits import unfit
from mapping.known_lists import KnownLists
from mapping.lists import ListItem, ListKind
from mapping.names import TRADE, leaf, legal_forms, numbers_of, plain, same_words, words_of
from mapping.roles import Role
from mapping.unmapped import Side, Unmapped

CANDIDATES = 5
SCORE_MIN = 60
"""Below this, likeness is chance."""
SURE = 90
"""From this score on a suggestion is the same words or the same charge."""
_ALIKE_MAX = SURE - 2
"""What is only alike."""
_OTHER_MAX = 69
"""Alike, but for a number or a legal form: another one. No choice of a least score on the mapping page takes it in."""
_ONE_FORM = 93
"""The same words, where one side names its legal form and the other does not."""
LOOKED_AT_MAX = 400
"""Entries scored for one name: the rarest words come first, so the likely ones are among them."""
_COMMON = 1_000
"""A word that more entries bear than this finds nothing by itself."""
_HISTORY = 96
_SAME = 100
_PARTIES = frozenset(("customers", "carriers"))
_PREFIX = 4
_DOUBTFUL = 25
"""Taken off an entry that would work but rarely is what somebody wants, such as an income account for a cost."""


class Candidate(BaseModel):
    """One entry that could be meant."""

    list_id: str
    full_name: str
    kind: ListKind
    score: int = Field(ge=0, le=100)
    reason: str = Field(description="One plain sentence.")


class Suggestion(BaseModel):
    """What is not linked yet, and what could be meant, best first."""

    section: str = Field(description="Section of the mapping.")
    key: str = Field(description="Code or id of the TMS.")
    side: Side | None = Field(description="For charges: the side that is not linked.")
    name: str = Field(description="Name as the TMS has it.")
    uses: int = Field(description="In how many places of the documents it stands.")
    candidates: list[Candidate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What somebody chose before: for the same code elsewhere, or for the same name here."""

    section: str
    key: str
    name: str
    full_name: str
    is_own: bool
    """By this company."""


class Named(Protocol):
    """Whatever has a name in QuickBooks."""

    @property
    def full_name(self) -> str:
        """Give its name with its parents' names."""
        ...


N = TypeVar("N", bound=Named)


class NameIndex(Generic[N]):
    """The entries of one list by the words of their names, so that a look does not read all of them."""

    def __init__(self, entries: Iterable[N], wanted: Collection[str] | None = None) -> None:
        """Index all words, or those that matter when `near` will be asked for these names alone."""
        self._entries = list(entries)
        self._by_word: dict[str, list[int]] = defaultdict(list)
        self._by_start: dict[str, list[int]] = defaultdict(list)
        self._by_name: dict[str, list[int]] = defaultdict(list)
        starts = None if wanted is None else {word[:_PREFIX] for name in wanted for word in words_of(name)}
        for index, entry in enumerate(self._entries):
            if starts is not None and not any(word[:_PREFIX] in starts for word in words_of(entry.full_name)):
                continue
            name = leaf(entry.full_name)
            self._by_name[same_words(name)].append(index)
            if name != entry.full_name:
                self._by_name[same_words(entry.full_name)].append(index)
            for word in set(words_of(entry.full_name)):
                self._by_word[word].append(index)
                self._by_start[word[:_PREFIX]].append(index)

    def near(self, text: str) -> list[N]:
        """Give the entries that share a telling word, or the start of one, with a name."""
        found: dict[int, None] = dict.fromkeys(self._by_name.get(same_words(text), ()))
        words = set(words_of(text))
        shared: Counter[int] = Counter()
        groups = [(word, self._by_word.get(word, [])) for word in words]
        groups += [(word, self._by_start.get(word[:_PREFIX], [])) for word in words if len(word) >= _PREFIX]
        groups.sort(key=lambda group: len(group[1]))
        for word, indexes in groups:
            if len(indexes) > _COMMON:
                continue
            weight = 1 if word in TRADE else 4
            for index in indexes:
                shared[index] += weight
        common = [set(indexes) for _, indexes in groups if len(indexes) > _COMMON][:2]
        if not shared and len(common) == 2:
            # The telling word is misspelt, and the others find too much each; together they do not.
            shared.update(sorted(common[0] & common[1])[:_COMMON])
        found |= dict.fromkeys(index for index, _ in shared.most_common(LOOKED_AT_MAX))
        return [self._entries[index] for index in found]

    @property
    def is_short(self) -> bool:
        """Say whether the list can be looked at whole."""
        return len(self._entries) <= LOOKED_AT_MAX

    def all(self) -> list[N]:
        """Give every entry."""
        return self._entries


def suggest(missing: Sequence[Unmapped], lists: KnownLists, history: Sequence[Choice] = ()) -> list[Suggestion]:
    """Rank the likely entries for everything that is missing."""
    indexes: dict[ListKind, NameIndex[ListItem]] = {}
    chosen = _by_code(history)
    return [_suggestion(wanted, lists, indexes, chosen) for wanted in missing]


def _suggestion(
    wanted: Unmapped,
    lists: KnownLists,
    indexes: dict[ListKind, NameIndex[ListItem]],
    chosen: dict[tuple[str, str], list[Choice]],
) -> Suggestion:
    best: dict[str, Candidate] = {}
    for role in _roles(wanted):
        if role.kind not in indexes:
            indexes[role.kind] = NameIndex(lists.entries(role.kind))
        index = indexes[role.kind]
        looked_at = index.all() if index.is_short else _pool(wanted, index, role.kind, lists, chosen)
        bearers = _bearers(looked_at) if wanted.section in _PARTIES else {}
        for entry in looked_at:
            if not entry.is_active:
                continue
            has_rival = len(bearers.get(same_words(entry.full_name), ())) > 1
            score, reason = _score(wanted, entry, chosen, has_rival=has_rival)
            if score < SCORE_MIN:
                continue
            reasons = list(unfit(entry, role, lists))
            if any(found.is_error for found in reasons):
                continue
            if reasons:
                score -= _DOUBTFUL
            if score >= SCORE_MIN:
                best[entry.list_id] = Candidate(
                    list_id=entry.list_id, full_name=entry.full_name, kind=entry.kind, score=score, reason=reason
                )
    ranked = sorted(best.values(), key=lambda found: (-found.score, len(found.full_name), found.full_name))
    return Suggestion(
        section=wanted.section,
        key=wanted.key,
        side=wanted.side,
        name=wanted.name,
        uses=wanted.uses,
        candidates=ranked[:CANDIDATES],
    )


def _pool(
    wanted: Unmapped,
    index: NameIndex[ListItem],
    kind: ListKind,
    lists: KnownLists,
    chosen: dict[tuple[str, str], list[Choice]],
) -> list[ListItem]:
    found = index.near(wanted.name)
    meaning = meaning_of(wanted.name) if wanted.section == "charges" else None
    if meaning is not None:
        found += index.near(meaning)
    for choice in chosen.get((wanted.section, same_words(wanted.name)), ()):
        found += lists.by_full_name(kind, choice.full_name)
    return list({entry.list_id: entry for entry in found}.values())


def _bearers(entries: Iterable[ListItem]) -> dict[str, set[str]]:
    """Give who bears the same words as a name, inactive entries too: the one that is meant may be among those."""
    found: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if not entry.is_gone:
            found[same_words(entry.full_name)].add(entry.list_id)
    return found


def _roles(wanted: Unmapped) -> tuple[Role, ...]:
    # A bill charge may go to a two-sided item or straight to an account.
    return (Role.BILL_ITEM, Role.BILL_ACCOUNT) if wanted.role is Role.BILL_ITEM else (wanted.role,)


def _by_code(history: Sequence[Choice]) -> dict[tuple[str, str], list[Choice]]:
    found: dict[tuple[str, str], list[Choice]] = defaultdict(list)
    for choice in history:
        for text in {choice.key, choice.name}:
            found[choice.section, same_words(text)].append(choice)
    return found


def _score(
    wanted: Unmapped, entry: ListItem, chosen: dict[tuple[str, str], list[Choice]], *, has_rival: bool
) -> tuple[int, str]:
    score, reason = _likeness(wanted, entry)
    if has_rival and SURE <= score < _SAME:
        score, reason = _ALIKE_MAX, "Another entry in QuickBooks has nearly the same name."
    if score < _HISTORY:
        for text in (wanted.key, wanted.name):
            for choice in chosen.get((wanted.section, same_words(text)), ()):
                if not _is_for(choice, text):
                    continue
                if choice.full_name.casefold() == entry.full_name.casefold():
                    if choice.is_own:
                        return _HISTORY, f"{choice.key} is linked to it here already."
                    # A code that others agree on may hold any number; the numbers of terms are what they say.
                    is_other = wanted.section == "terms" and difference(text, entry.full_name)
                    most = _OTHER_MAX if is_other else _HISTORY - 2
                    return max(score, most), f"Others link {wanted.key} to an entry of this name."
    return score, reason


def _is_for(choice: Choice, text: str) -> bool:
    """Say whether a choice was made for this code or name: the same words, and no other number or legal form."""
    return any(
        words_of(one) and same_words(one) == same_words(text) and not difference(one, text)
        for one in (choice.key, choice.name)
    )


def _likeness(wanted: Unmapped, entry: ListItem) -> tuple[int, str]:
    if wanted.section in _PARTIES and ":" in entry.full_name:
        return _job_likeness(wanted.name, entry.full_name)
    names = (leaf(entry.full_name), entry.full_name)
    score, reason = max(_alike_names(wanted.name, name) for name in names)
    if score >= SURE:
        return score, reason
    if wanted.section == "charges":
        return _by_meaning(wanted, entry, names) or (score, reason)
    if wanted.section == "terms" and numbers_of(wanted.name) != numbers_of(entry.full_name):
        # Net 30 and Net 45 are alike in everything but what matters.
        return 0, ""
    return score, reason


def _job_likeness(wanted: str, full_name: str) -> tuple[int, str]:
    """Score a job: by its whole name, for a job called "Dallas" is somebody's Dallas."""
    score, reason = _alike_names(wanted, full_name)
    if score >= SURE:
        return score, reason
    at_leaf, _ = _alike_names(wanted, leaf(full_name))
    return max(score, min(at_leaf, _ALIKE_MAX)), "It is a job, and its name is alike."


def _by_meaning(wanted: Unmapped, entry: ListItem, names: Sequence[str]) -> tuple[int, str] | None:
    """Score what a charge means against the names of an entry; None: the words of the trade say nothing."""
    meaning = meaning_of(wanted.name)
    if meaning is None:
        return None
    most = _SAME if any(not difference(wanted.name, name) for name in names) else _OTHER_MAX
    if entry.kind is ListKind.ACCOUNT and any(is_cost_of(meaning, name) for name in names):
        return min(most, SURE), f"The {meaning} of carriers is usually booked there."
    score = min(most, max(_charge_score(meaning, wanted.name, name) for name in names))
    return (score, f"{wanted.key} usually means {meaning}.") if score else None


def difference(one: str, other: str) -> str:
    """Say what makes two names those of two: a number, or legal forms that exclude each other; empty: nothing."""
    if numbers_of(one) != numbers_of(other):
        return "number"
    ours, theirs = legal_forms(one), legal_forms(other)
    return "legal form" if ours and theirs and ours != theirs else ""


def _alike_names(wanted: str, name: str) -> tuple[int, str]:
    """Score two names, whatever they are names of."""
    if _letters(wanted) and _letters(name) == _letters(wanted):
        return _SAME, "It has the same name."
    found = difference(wanted, name)
    if found:
        return min(_OTHER_MAX, _fuzzy(wanted, name)), f"The names are alike, but the {found} differs."
    ours, theirs = words_of(wanted), words_of(name)
    if not ours or sorted(ours) != sorted(theirs):
        return min(_ALIKE_MAX, _fuzzy(wanted, name)), "The names are alike."
    if ours != theirs and "," not in wanted + name:
        # "Haulers, Great Basin" is Great Basin Haulers; Martin Ross is not Ross Martin.
        return _ALIKE_MAX, "The same words in another order."
    if legal_forms(wanted) != legal_forms(name):
        return _ONE_FORM, "The same name; only one of the two names its legal form."
    return 97, "The names differ only in spelling."


def _charge_score(meaning: str, wanted: str, name: str) -> int:
    if meaning_of(name) == meaning:
        # Two special words for one charge, such as permit and escort, are alike; one for the charge itself is it.
        return 94 if meaning in (_letters(wanted), _letters(name)) else _ALIKE_MAX
    words, meant = set(words_of(name)), set(words_of(meaning))
    if meant <= words:
        # "Carrier Linehaul", "Fuel Surcharge Expense": the charge and what it is for.
        return max(70, 92 - 4 * len(words - meant))
    return 0


def _fuzzy(left: str, right: str) -> int:
    """Compare words, the telling ones above those of the trade."""
    ours, theirs = words_of(left), words_of(right)
    whole = _ratio(ours, theirs)
    telling_ours = [word for word in ours if word not in TRADE] or list(ours)
    telling_theirs = [word for word in theirs if word not in TRADE] or list(theirs)
    core = _ratio(telling_ours, telling_theirs)
    part = fuzz.token_set_ratio(" ".join(telling_ours), " ".join(telling_theirs))
    # One name inside another ("Acme" in "Acme Foods of Reno") is likely, never certain.
    return min(95, round(0.35 * whole + 0.4 * core + 0.25 * part * min(1.0, 0.5 + core / 200)))


def _ratio(left: Sequence[str], right: Sequence[str]) -> float:
    # Joined, "Sea Food" is "Seafood".
    return max(fuzz.token_sort_ratio(" ".join(left), " ".join(right)), fuzz.ratio("".join(left), "".join(right)))


@lru_cache(maxsize=200_000)
def _letters(text: str) -> str:
    return " ".join("".join(char if char.isalnum() else " " for char in plain(text)).split())
