"""The Dockerfile as a list of stages and instructions: enough of its language for our own file."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
FILE = PROJECT / "Dockerfile"


@dataclass
class Stage:
    """One FROM and what follows it: (instruction, rest of the line) in order."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        """Give the rest of the last such line."""
        return [rest for word, rest in self.steps if word == instruction][-1]


def stages() -> list[Stage]:
    """Read the file; comment lines inside a continued command are dropped, as Docker does it."""
    joined: list[str] = []
    open_line = False
    for line in FILE.read_text("utf-8").splitlines():
        if line.lstrip().startswith("#") or not line.strip():
            continue
        text = line.strip()
        if open_line:
            joined[-1] += " " + text.removesuffix("\\").strip()
        else:
            joined.append(text.removesuffix("\\").strip())
        open_line = text.endswith("\\")
    found: list[Stage] = []
    for line in joined:
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name))
        else:
            found[-1].steps.append((word, rest))
    return found


def exec_form(rest: str) -> list[str]:
    """Give the words of an instruction in exec form."""
    words: list[str] = json.loads(rest)
    return words


def environment(stage: Stage) -> dict[str, str]:
    """Give what ENV sets, with `$PATH` as the image's."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    values: dict[str, str] = {"PATH": path}
    for word, rest in stage.steps:
        if word == "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                values[name] = value.replace("$PATH", values["PATH"])
    return values
