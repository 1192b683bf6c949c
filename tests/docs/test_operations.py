"""docs/operations.md: every code that the system can give has an entry, and its first block runs."""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from ops.cli import app
from ops.settings import load_settings
from qbwc_bridge.guard import Code
from store.engine import Database
from tests.docs import failure_codes
from tests.support import stores

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "operations.md").read_text("utf-8")
RUN = re.compile(r"^```sh run\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LATER = {"prune", "exports", "codec", "bench"}
"""Commands of other parts that may not be in this tree; once one is, the test holds the page to it."""


def test_the_page_of_codes_is_the_catalogue() -> None:
    """QBD_UPDATE_GOLDEN=1 writes it anew."""
    if os.environ.get("QBD_UPDATE_GOLDEN"):
        failure_codes.PAGE.write_text(failure_codes.page(), "utf-8")
    assert failure_codes.PAGE.read_text("utf-8") == failure_codes.page()


def table(heading: str) -> set[str]:
    """The codes in the first column of the table under a heading."""
    _, found, rest = PAGE.partition(f"{heading}\n")
    assert found, heading
    rows = re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]
    first = [line.split("|")[1] for line in rows.splitlines() if line.startswith("| `")]
    return {code for cell in first for code in re.findall(r"`([a-z_]+)`", cell)}


def test_every_failure_of_ours_has_an_entry() -> None:
    """Read from the code: `Failure(code=...)` and `Verdict(code=...)`, constants and names of constants."""
    assert table("### Codes of our own") == set(
        codes_of(("Failure", "Verdict"), "activities", "qbwc_bridge", "ops", "workflows")
    )


def test_every_issue_has_an_entry() -> None:
    """What mapping and pre-flight can say, warnings too."""
    named = set(codes_of(("Issue", "Unfit", "linked"), "mapping")) | set(firsts(("issue", "_warning"), "mapping"))
    tree = ast.parse((PROJECT / "mapping" / "parsing.py").read_text("utf-8"))
    words = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "_words")
    for node in ast.walk(words):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            first = node.value.elts[0]
            assert isinstance(first, ast.Constant)
            named.add(str(first.value))
    assert table("### Issues of a document") == named


def test_every_incident_has_an_entry() -> None:
    """What `./qbd doctor` and a company's `problem` may name."""
    folders = ("qbwc_bridge", "tms_api", "activities", "store")
    named = set(codes_of(("record_incident", "record_incident_once"), *folders))
    for call, constants in calls_in(("_incident",), *folders):
        named |= set(known(call.args[2], constants))
    named |= set(Code)  # what the guard says of a company file
    assert table("### Incidents and problems") == named


def calls_in(names: tuple[str, ...], *folders: str) -> Iterator[tuple[ast.Call, dict[str, str]]]:
    for folder in folders:
        for path in sorted((PROJECT / folder).glob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            constants = {
                target.id: node.value.value
                for node in tree.body
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
                for target in node.targets
                if isinstance(target, ast.Name) and isinstance(node.value.value, str)
            }
            constants |= {"OUTCOME_UNKNOWN": "outcome_unknown", "FOUND_IN_QUICKBOOKS": "found_in_quickbooks"}
            for node in ast.walk(tree):
                if isinstance(node, ast.Call):
                    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                    if name in names:
                        yield node, constants


def codes_of(names: tuple[str, ...], *folders: str) -> Iterator[str]:
    for call, constants in calls_in(names, *folders):
        for keyword in call.keywords:
            if keyword.arg == "code":
                yield from known(keyword.value, constants)


def firsts(names: tuple[str, ...], *folders: str) -> Iterator[str]:
    for call, constants in calls_in(names, *folders):
        if call.args:
            yield from known(call.args[0], constants)


def known(node: ast.expr, constants: dict[str, str]) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name) and node.id in constants:
        yield constants[node.id]
    elif isinstance(node, ast.Attribute) and node.attr in constants:
        yield constants[node.attr]
    elif isinstance(node, ast.IfExp):
        yield from known(node.body, constants)
        yield from known(node.orelse, constants)


def test_commands_of_the_page_exist() -> None:
    """Every `./qbd ...` names a command, and every option is one that it has."""
    group = get_command(app)
    lines = re.findall(r"\./qbd [^`\n#]+", PAGE) + re.findall(r"python -m ops [^`\n#]+", PAGE)
    assert len(lines) > 10
    for line in lines:
        words = shlex.split(line.replace("python -m ops", "./qbd"))[1:]
        commands = getattr(group, "commands", {})
        if words[0] == "...":
            continue
        if words[0] in LATER and words[0] not in commands:
            continue
        command = commands[words[0]]
        if words[0] == "keys":
            command = command.commands[words[1]]
        options = {option for parameter in command.params for option in parameter.opts}
        if words[0] in ("test", "chaos"):
            continue
        assert {word for word in words if word.startswith("--")} <= options, line


def test_the_cheap_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first block, line for line, on a database with one company."""
    for name in [name for name in os.environ if name.startswith(("QBD_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("QBD_DATA_DIR", str(tmp_path))
    lines = [line for block in RUN.findall(PAGE) for line in block.splitlines() if line]
    assert len(lines) >= 3
    said = []
    for line in lines:
        done = CliRunner().invoke(app, shlex.split(line, comments=True)[1:])
        assert done.exit_code == 0, done.output
        said.append(done.output)
        if "migrate" in line:
            database = Database(load_settings({"QBD_DATA_DIR": str(tmp_path)}).database)
            stores.add_company(database)
            database.close()
    assert "is at this program's version" in said[0]
    assert "Web Connector  seen never" in said[1]
