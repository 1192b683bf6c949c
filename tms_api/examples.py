"""Examples of bodies and answers for the OpenAPI document: real ones, collected by the tests into `examples.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("examples.json")


def add_examples(schema: dict[str, Any]) -> None:
    """Put each operation's example beside its body and its answer; a route without one is left as it is."""
    known: dict[str, dict[str, Any]] = json.loads(FILE.read_text("utf-8"))
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            example = known.get(f"{method.upper()} {path}", {})
            if "body" in example and "requestBody" in operation:
                operation["requestBody"]["content"]["application/json"]["example"] = example["body"]
            if "answer" in example:
                content = operation["responses"][example["status"]].get("content", {})
                content.get("application/json", {})["example"] = example["answer"]
