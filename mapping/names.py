"""Names of parties, charges and terms in a form in which different spellings of the same thing meet."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_WORDS = re.compile(r"[a-z]+|[0-9]+")  # NET30 is Net 30
_DOTTED = re.compile(r"\b(?:[a-z]\.){2,}")  # L.L.C., U.S.
_QUIET = re.compile(r"['\u2018\u2019`]")  # O'Brien, Carrier's
_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "ł": "l", "Ł": "L", "đ": "d"})

_LEGAL_WORDS = (
    "inc incorporated llc llp lp ltd limited corp corporation co company plc gmbh sa srl pllc pc dba the and of"
)
LEGAL = frozenset(_LEGAL_WORDS.split())
"""Words that say nothing about who somebody is: one side writes them, the other does not."""

_SHORT_FORMS = {
    "trkg": "trucking",
    "trk": "trucking",
    "truck": "trucking",
    "trucks": "trucking",
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
    "distributing": "distribution",
    "distributors": "distribution",
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
    "industrial": "industries",
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
    bare = "".join(char for char in spread if not unicodedata.combining(char))
    return _DOTTED.sub(lambda match: match[0].replace(".", ""), bare)


@lru_cache(maxsize=200_000)
def words_of(text: str) -> tuple[str, ...]:
    """Give the words of a name in order, `&` and legal forms left out, short forms written out."""
    found = _WORDS.findall(plain(text))
    # A name of nothing but such words is still a name: "The Company".
    kept = [word for word in found if word not in LEGAL] or found
    return tuple(_SHORT_FORMS.get(word, word) for word in kept)


def same_words(text: str) -> str:
    """Give the form that is equal for names that differ only in case, accents, legal form and order of words."""
    return " ".join(sorted(set(words_of(text))))


def leaf(full_name: str) -> str:
    """Give the last part of a full name: `Ironwood:Load 100777` is `Load 100777`."""
    return full_name.rsplit(":", 1)[-1]
