"""Names of parties, charges and terms in a form in which different spellings of the same thing meet."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_WORDS = re.compile(r"[^\W\d_]+|\d+")  # NET30 is Net 30
_DOTTED = re.compile(r"\b(?:[a-z]\.){2,}")  # L.L.C., U.S.
_QUIET = re.compile(r"['\u2018\u2019`]")  # O'Brien, Carrier's
_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "ł": "l", "Ł": "L", "đ": "d"})

_QUIET_WORDS = frozenset(("the", "and", "of", "dba"))
"""Words that say nothing about who somebody is: one side writes them, the other does not."""
_FORMS = {
    "inc": "inc",
    "incorporated": "inc",
    "corp": "corp",
    "corporation": "corp",
    "llc": "llc",
    "llp": "llp",
    "pllc": "pllc",
    "ltd": "ltd",
    "ltda": "ltda",
    "plc": "plc",
    "ulc": "ulc",
    "gmbh": "gmbh",
    "sarl": "sarl",
    "srl": "srl",
}
_LAST_FORMS = {
    **{form: form for form in ("lp", "pc", "sa", "ag", "as", "ab", "bv", "nv", "kg", "ohg", "ug")},
    **{form: form for form in ("se", "sas", "spa", "oy", "aps", "pty", "kft")},
    "co": "co",
    "company": "co",
    "limited": "ltd",
}
"""Legal forms only at the end of a name: `AG Trucking` and `Co-op Foods` begin with words of their own."""
_ROMAN = {"ii": "2", "iii": "3", "iv": "4", "vi": "6", "vii": "7", "viii": "8", "ix": "9"}

_SHORT_FORMS = {
    "trkg": "trucking",
    "trk": "trucking",
    "transp": "transport",
    "trans": "transport",
    "transportation": "transport",
    "transports": "transport",
    "log": "logistics",
    "logistic": "logistics",
    "exp": "express",
    "frt": "freight",
    "carriers": "carrier",
    "carr": "carrier",
    "svc": "service",
    "svcs": "service",
    "services": "service",
    "srvc": "service",
    "dist": "distribution",
    "mfg": "manufacturing",
    "whse": "warehouse",
    "warehousing": "warehouse",
    "intl": "international",
    "natl": "national",
    "bros": "brothers",
    "haul": "hauling",
    "haulers": "hauling",
    "delivery": "deliveries",
    "st": "saint",
    "mt": "mount",
    "ent": "enterprises",
    "enterprise": "enterprises",
    "ind": "industries",
    "sys": "systems",
    "system": "systems",
    "grp": "group",
    "assoc": "associates",
    "usa": "us",
}

_TRADE_WORDS = """
trucking transport logistics express freight carrier service hauling brokerage lines line group enterprises
deliveries distribution foods supply international national systems industries
"""
TRADE = frozenset(_TRADE_WORDS.split())
"""Words that half the trade bears: alike in them is not alike."""


def plain(text: str) -> str:
    """Write a text in lower case without accents and apostrophes, dotted letters joined: `L.L.C.` is `llc`."""
    spread = unicodedata.normalize("NFKD", _QUIET.sub("", text.translate(_LETTERS)).casefold())
    bare = "".join(char for char in spread if not unicodedata.combining(char)).replace("+", " plus ")
    return _DOTTED.sub(lambda match: match[0].replace(".", ""), bare)


@lru_cache(maxsize=200_000)
def words_of(text: str) -> tuple[str, ...]:
    """Give the words of a name in order, `&` and legal forms left out, short forms written out."""
    kept, _ = _parted(text)
    return tuple(_SHORT_FORMS.get(word, word) for word in kept)


@lru_cache(maxsize=200_000)
def legal_forms(text: str) -> frozenset[str]:
    """Give the legal forms that a name bears, each in one spelling: `Incorporated` is `inc`; most bear one or none."""
    _, forms = _parted(text)
    # "Acme Trucking Co Inc" is an Inc: there the Co is how it calls itself.
    return frozenset(forms - {"co"}) or frozenset(forms)


@lru_cache(maxsize=200_000)
def numbers_of(text: str) -> tuple[str, ...]:
    """Give the numbers in a name in order, Roman ones too: `Paper II` and `Paper 2` bear the same."""
    found = _WORDS.findall(plain(text))
    return tuple(_ROMAN.get(word, word) for word in found if word.isdigit() or word in _ROMAN)


def _parted(text: str) -> tuple[list[str], set[str]]:
    """Part a name into the words that name it and the legal forms."""
    found = _WORDS.findall(plain(text))
    kept: list[str] = []
    forms: set[str] = set()
    is_last = True
    for index in range(len(found) - 1, -1, -1):
        word = found[index]
        form = _FORMS.get(word) or (_LAST_FORMS.get(word) if is_last else None)
        if form is not None and index:
            forms.add(form)
        elif word not in _QUIET_WORDS:
            kept.append(word)
            is_last = False
    if not kept or all(word in _FORMS or word in _LAST_FORMS for word in kept):
        # A name of nothing but such words is still a name: "The Company".
        return found, set()
    return kept[::-1], forms


def same_words(text: str) -> str:
    """Give the form that is equal for names that differ only in case, accents, legal form and order of words."""
    return " ".join(sorted(words_of(text)))


def leaf(full_name: str) -> str:
    """Give the last part of a full name: `Ironwood:Load 100777` is `Load 100777`."""
    return full_name.rsplit(":", 1)[-1]
