"""In the sandbox only a workflow's own module is run anew for a run, and a worker loads each workflow in it first."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.worker.workflow_sandbox import UnintentionalPassthroughError

from ops.workflow_runner import CheckedRunner
from workflows.export import QuickBooksExport

FOLDER = Path(__file__).resolve().parents[2] / "workflows"


@pytest.mark.parametrize("name", ["export", "list_sync", "webhook"])
def test_what_is_shared_is_imported_by_name(name: str) -> None:
    """`from workflows import module` goes round the sandbox's importer and took two thirds of a worker's time."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))
    imports = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert any(module and module.startswith("workflows.") for module in imports)
    assert "workflows" not in imports


async def test_a_worker_refuses_a_workflow_that_imports_what_it_should_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs workflows outside the sandbox, so this is the only look at them."""
    (tmp_path / "reads_the_database.py").write_text(
        "from temporalio import workflow\n"
        "import sqlalchemy\n"
        "@workflow.defn\n"
        "class ReadsTheDatabase:\n"
        "    @workflow.run\n"
        "    async def run(self) -> None: ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("reads_the_database")
    runner = CheckedRunner()
    runner.prepare_workflow(workflow._Definition.must_from_class(QuickBooksExport))
    with pytest.raises(UnintentionalPassthroughError, match="sqlalchemy"):
        runner.prepare_workflow(workflow._Definition.must_from_class(module.ReadsTheDatabase))
