"""What one update session of the Web Connector came to."""

from dataclasses import dataclass, field


@dataclass
class UpdateReport:
    """The calls made, in order, and the outcome.

    `outcome` is ok, none, nvu, busy, postponed, version, error, stopped, locked, crashed, endless or failed; `code` is
    the QBWC number that goes with it, if one does; `status` is the text of the Status column.
    """

    outcome: str = "failed"
    code: str | None = None
    status: str = ""
    ticket: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    exchanges: list[tuple[str, str]] = field(default_factory=list)
    minimum_wait: int | None = None

    @property
    def count(self) -> int:
        """How many SOAP calls were made."""
        return len(self.calls)

    @property
    def methods(self) -> list[str]:
        """The methods called, in order."""
        return [method for method, _ in self.calls]

    @property
    def requests_processed(self) -> int:
        """How many qbXML documents QuickBooks was given."""
        return len(self.exchanges)


class UpdateEnded(Exception):  # noqa: N818 - an end, not always an error
    """Ends an update from within."""

    def __init__(self, outcome: str, status: str, code: str | None = None) -> None:
        super().__init__(status)
        self.outcome = outcome
        self.status = status
        self.code = code
