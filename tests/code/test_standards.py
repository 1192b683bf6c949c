"""The standards that a reviewer would otherwise have to check by eye: format, lint, types, direction of imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent
CHECKS = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
    "import directions": ["lint-imports"],
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_code_keeps_the_standard(name: str) -> None:
    """Each tool has nothing to say."""
    command, *arguments = CHECKS[name]
    done = subprocess.run(
        [str(SCRIPTS / command), *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


def test_shared_models_are_importable_without_lxml_and_sqlalchemy() -> None:
    """Workflows import them inside the sandbox."""
    code = (
        "import sys\n"
        "sys.modules.update({name: None for name in ('lxml', 'sqlalchemy', 'pydantic_xml')})\n"
        "import mapping.documents, mapping.issues, workflows.contracts\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
