"""What a benchmark found: figures with their budgets, as a table, as JSON, and as the tables of docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

BEGIN = "<!-- figures: begin -->"
END = "<!-- figures: end -->"
HEADER = ("what", "database", "value", "budget", "")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured ratio, rate or count; `raw` holds what it was made of."""

    what: str
    database: str
    """sqlite, postgresql, or - where none takes part."""
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    raw: dict[str, Any] = field(default_factory=dict)

    @property
    def is_met(self) -> bool | None:
        """Say whether the budget is kept; None without one."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return self.value >= self.at_least if self.at_least is not None else None

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """Give the row of the table."""
        budget = f"<= {number(self.at_most)}" if self.at_most is not None else ""
        budget = f">= {number(self.at_least)}" if self.at_least is not None else budget
        verdict = {True: "kept", False: "MISSED", None: ""}[self.is_met]
        return self.what, self.database, f"{number(self.value)} {self.unit}".strip(), budget, verdict


def number(value: float) -> str:
    """Write a number with three digits that count."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def as_json(figures: Sequence[Figure], surroundings: dict[str, Any]) -> dict[str, Any]:
    """Give everything, raw figures too."""
    return {
        "surroundings": surroundings,
        "figures": [{**asdict(figure), "is_met": figure.is_met} for figure in figures],
    }


def from_json(stored: dict[str, Any]) -> list[Figure]:
    """Read the figures back."""
    return [Figure(**{k: v for k, v in one.items() if k != "is_met"}) for one in stored["figures"]]


def as_text(figures: Sequence[Figure]) -> str:
    """Give the table for a terminal, each row followed by its raw figures."""
    rows = [HEADER, *(figure.cells for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = []
    for index, row in enumerate(rows):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if index and figures[index - 1].raw:
            lines.append(f"    {raw_text(figures[index - 1].raw)}")
    return "\n".join(lines)


def as_markdown(figures: Sequence[Figure], surroundings: dict[str, Any]) -> str:
    """Give the tables for the docs."""
    facts = ", ".join(f"{name} {value}" for name, value in surroundings.items())
    lines = [f"Measured by `./qbd bench`: {facts}.", ""]
    lines += ["| what | database | value | budget | | raw figures |", "|---|---|---|---|---|---|"]
    lines += [f"| {' | '.join(figure.cells)} | {raw_text(figure.raw)} |" for figure in figures]
    return "\n".join(lines)


def raw_text(raw: dict[str, Any]) -> str:
    """Write raw figures on one line."""
    return ", ".join(
        f"{name.replace('_', ' ')} {number(value) if isinstance(value, int | float) else value}"
        for name, value in raw.items()
    )


def write_into(page: Path, text: str) -> None:
    """Put the text between the two marks of a page; raises ValueError when they are missing."""
    whole = page.read_text(encoding="utf-8")
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} lacks the marks {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
