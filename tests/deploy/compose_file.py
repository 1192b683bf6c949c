"""docker-compose.yml as Docker would see it with a user's variables filled in: services, environments, commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
FILE = PROJECT / "docker-compose.yml"
OURS = ("migrate", "temporal-setup", "bridge", "api", "worker", "prune")
JOBS = ("migrate", "temporal-setup", "temporal-schema")
PORTLESS = ("prune",)
"""Long-running, but nobody calls them: that they run is all that can be seen of them from outside."""
USER = {
    "SOAP_HOST": "qb.example.com",
    "API_HOST": "qb-api.example.com",
    "CONSOLE_HOST": "qb-console.example.com",
    "IMAGE_TAG": "v7-2-gabcdef",
}
"""What a user must choose."""
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::([-?])([^}]*))?\}")


def load(values: Mapping[str, str] = USER) -> dict[str, Any]:
    """Read the file with every `${NAME}` replaced; `$$` becomes `$` as Compose does it."""
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
    filled: dict[str, Any] = _filled(loaded, values)
    return filled


def _filled(node: Any, values: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, values) for value in node]
    if not isinstance(node, str):
        return node

    def replace(match: re.Match[str]) -> str:
        name, kind, text = match.groups()
        if name in values:
            return values[name]
        assert kind == "-", f"{name} has neither default nor value"
        return str(text)

    return VARIABLE.sub(replace, node).replace("$$", "$")


def user_variables() -> set[str]:
    """Name every variable that the file takes from the user's environment."""
    return {name for name, _, _ in VARIABLE.findall(FILE.read_text("utf-8"))}
