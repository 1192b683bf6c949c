"""Breaks the connection at chosen calls (web-connector.md 5.4)."""

from dataclasses import dataclass, field
from typing import Literal

When = Literal["before", "after"]


@dataclass
class Cuts:
    """Rules for losing calls; each strikes once.

    `before` loses a call on its way to the server, `after` loses the reply of a call that the server has processed.
    A rule names a method and its nth use, or counts calls of any method; the count runs on over sessions.
    """

    rules: set[tuple[When, str, int]] = field(default_factory=set)
    _counts: dict[str, int] = field(default_factory=dict)

    def before(self, method: str = "", nth: int = 1) -> "Cuts":
        """Lose the nth call from now on before the server gets it."""
        self.rules.add(("before", method, self._counts.get(method, 0) + nth))
        return self

    def after(self, method: str = "", nth: int = 1) -> "Cuts":
        """Lose the reply of the nth call from now on."""
        self.rules.add(("after", method, self._counts.get(method, 0) + nth))
        return self

    def count(self, method: str) -> None:
        """A call of this method begins."""
        for name in (method, ""):
            self._counts[name] = self._counts.get(name, 0) + 1

    def strikes(self, when: When, method: str) -> bool:
        """Whether the call counted last is lost at this point."""
        hit = {(when, name, self._counts.get(name, 0)) for name in (method, "")} & self.rules
        self.rules -= hit
        return bool(hit)
