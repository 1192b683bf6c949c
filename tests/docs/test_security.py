"""docs/security.md: every test that it names exists, every threat names one, and its codec is the one that runs."""

from __future__ import annotations

import ast
import base64
import re
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import WorkflowSerializationContext

from ops.payload_codec import EncryptionCodec
from store.key_ring import new_key, read_key_ring

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
NODE = re.compile(r"`(tests/[a-z_/]+\.py::test_\w+)`")
MANY = 300
"""A run of so many tests is of whole files, not of chosen tests."""
MUST_BE_NAMED = (
    *("XXE", "Entity bombs", "ticket", "replayed", "qbXML", "Path tricks", "log lines", "SSRF", "smuggling", ".qwc"),
    *("Idempotency-Key", "database is stolen", "history is stolen", "Shutting a company out"),
)


def test_every_threat_names_a_test() -> None:
    rows = [line for line in PAGE.partition("## Threats")[2].splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 25
    assert [row for row in rows if not NODE.search(row)] == []
    text = "\n".join(rows)
    assert [word for word in MUST_BE_NAMED if word not in text] == []


def test_every_named_test_is_collected(request: pytest.FixtureRequest) -> None:
    """It stands in its file; and where this run collected that file, pytest found it under that very id."""
    found = {item.nodeid.partition("[")[0] for item in request.session.items}
    files = {node.partition("::")[0] for node in found}
    for node in sorted(set(NODE.findall(PAGE))):
        path, _, name = node.partition("::")
        defined = ast.parse((ROOT / path).read_text("utf-8")).body
        assert name in {one.name for one in defined if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}, node
        assert node in found or path not in files or len(found) < MANY, node


@pytest.mark.parametrize("is_bound", [True, False])
async def test_the_codec_on_the_page_speaks_ours(is_bound: bool) -> None:
    """What either wrote, the other reads."""
    [code] = re.findall(r"```python codec\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, "docs/security.md", "exec"), names)
    entry = new_key("2026-11", lambda count: b"k" * count)
    key_id, _, key = entry.partition(":")
    theirs = names["Codec"](key_id, base64.b64decode(key))
    ours = EncryptionCodec(read_key_ring(entry))
    if is_bound:
        ours = ours.with_context(WorkflowSerializationContext(namespace="n", workflow_id="export/a/invoice/1"))
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b'{"total": "2062.50"}')
    assert await theirs.decode(await ours.encode([plain])) == [plain]
    assert await ours.decode(await theirs.encode([plain])) == [plain]
    assert b"2062.50" not in (await theirs.encode([plain]))[0].data
