"""What a key may do: the scope that each call needs, the one company that a key may see, how often it may call."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tms_api.problems import ProblemError

COMPANIES = "/v1/companies"
OF_A_COMPANY = "/v1/companies/{company}"
SECRETS = ("/password", "/rotate-ids", "/rebind", "/console-link", "/company-file/confirm")
"""What lets somebody else in, or another company file."""
BUCKETS_MAX = 10_000


class Scope(StrEnum):
    """What a key may do. `export` and `configure` may read as well; `admin` may do everything."""

    READ = "read"
    EXPORT = "export"
    CONFIGURE = "configure"
    ADMIN = "admin"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who sent a request."""

    key_id: str
    company_id: str | None
    """The only company that the key may see; None: all of them."""
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Say whether the key's scopes cover this one."""
        return Scope.ADMIN in self.scopes or scope in self.scopes or (scope is Scope.READ and bool(self.scopes))


def read_scopes(text: str) -> frozenset[Scope]:
    """Read stored scopes; words that this version does not know give no right."""
    return frozenset(Scope(word) for word in text.split() if word in set(Scope))


def required_scope(method: str, path: str) -> Scope:
    """Give what a call needs, from its method and route template. A route that is not named here needs `configure`."""
    if method in ("GET", "HEAD"):
        return Scope.READ
    if path == COMPANIES:
        return Scope.ADMIN
    tail = path.removeprefix(OF_A_COMPANY)
    if tail in SECRETS:
        return Scope.ADMIN
    if tail == "/exports/preview":
        return Scope.READ
    if tail.startswith(("/exports", "/documents", "/missing")):
        return Scope.EXPORT
    return Scope.CONFIGURE


def check_access(caller: Caller, *, method: str, path: str, company: str | None) -> None:
    """Raise `ProblemError` unless the key may do this.

    A foreign company gets the answer of one that does not exist: a key of one company must not learn of others. The
    scope is looked at first, and without the company, so that this tells nothing either.
    """
    needed = required_scope(method, path)
    if not caller.may(needed):
        raise ProblemError(
            403,
            "scope_missing",
            f"This key lacks the scope `{needed}`. Use another key, or have one made with "
            f"`./qbd keys create NAME --scope {needed}`.",
        )
    if caller.company_id is None:
        return
    if company is None and method not in ("GET", "HEAD"):
        detail = "This key is for one company only; use a key for all companies to connect another one."
        raise ProblemError(403, "key_of_one_company", detail)
    if company is not None and company != caller.company_id:
        raise company_not_found()


def company_not_found() -> ProblemError:
    """Say that there is no such company, or none that the caller may know of."""
    return ProblemError(404, "company_not_found", "There is no company with this id.")


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What the limiter says of one request."""

    limit: int
    remaining: int
    retry_after_s: int
    """0: go on."""

    def headers(self) -> dict[str, str]:
        """Give the header fields of the IETF draft on RateLimit fields."""
        refill_s = max(1, math.ceil(60 * (self.limit - self.remaining) / self.limit))
        fields = {
            "RateLimit-Policy": f'"key";q={self.limit};w=60',
            "RateLimit": f'"key";r={self.remaining};t={refill_s}',
        }
        return fields | ({"Retry-After": str(self.retry_after_s)} if self.retry_after_s else {})


class RateLimiter:
    """A token bucket for each key, in this process: full at first, it fills evenly over a minute."""

    def __init__(self, per_minute: int, clock: Callable[[], datetime]) -> None:
        """`per_minute` 0 means no limit. Used from one event loop only."""
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: dict[str, tuple[float, datetime]] = {}

    def take(self, key_id: str) -> Allowance | None:
        """Take one token, or say when to come back; None when there is no limit."""
        if not self._per_minute:
            return None
        now = self._clock()
        tokens = self._tokens(key_id, now)
        allowance = self._allowance(tokens)
        if key_id not in self._buckets and len(self._buckets) >= BUCKETS_MAX:
            self._buckets.clear()
        self._buckets[key_id] = (tokens if allowance.retry_after_s else tokens - 1, now)
        return allowance

    def look(self, key_id: str) -> Allowance | None:
        """Say what `take` would say, and take nothing."""
        return self._allowance(self._tokens(key_id, self._clock())) if self._per_minute else None

    def _tokens(self, key_id: str, now: datetime) -> float:
        tokens, since = self._buckets.get(key_id, (float(self._per_minute), now))
        passed = max(0.0, (now - since).total_seconds())
        return min(float(self._per_minute), tokens + passed * self._per_minute / 60)

    def _allowance(self, tokens: float) -> Allowance:
        if tokens >= 1:
            return Allowance(limit=self._per_minute, remaining=int(tokens - 1), retry_after_s=0)
        retry_after = max(1, math.ceil((1 - tokens) * 60 / self._per_minute))
        return Allowance(limit=self._per_minute, remaining=int(tokens), retry_after_s=retry_after)
