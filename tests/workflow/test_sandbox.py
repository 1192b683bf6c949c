"""What the sandbox runs anew for every workflow is the workflow's own module and nothing else of ours."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "workflows"


@pytest.mark.parametrize("name", ["export", "list_sync", "webhook"])
def test_what_is_shared_is_imported_by_name(name: str) -> None:
    """`from workflows import module` goes round the sandbox's importer and took two thirds of a worker's time."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))
    imports = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert any(module and module.startswith("workflows.") for module in imports)
    assert "workflows" not in imports
