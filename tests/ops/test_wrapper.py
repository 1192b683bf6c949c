"""The `qbd` script: in a temporary copy with spaces in its path, with stubs in place of Python's installers."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
STUB_PYTHON = f"""#!/bin/sh
case "$*" in
    *"import sys; raise SystemExit"*) exec {sys.executable} "$@" ;;
    *"import ensurepip"*) exit ${{STUB_NO_ENSUREPIP:-0}} ;;
    --version) echo "Python 3.x stub" ;;
    "-m venv "*)
        for last; do :; done
        mkdir -p "$last/bin" && cp "$0" "$last/bin/python" && echo venv >>"$STUB_LOG" ;;
    "-m pip --version") exit 0 ;;
    "-m pip install"*)
        for last; do :; done
        echo "install ${{last##*/}}" >>"$STUB_LOG"
        exit "${{STUB_PIP_FAILS:-0}}" ;;
    "-P -m ops"*)
        printf 'run'
        for one; do printf '|%s' "$one"; done
        printf '|in %s|path %s' "$PWD" "$PYTHONPATH" ;;
    *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""


class Copy:
    """A copy of the script with its own PATH."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "a folder with spaces"
        self.home.mkdir()
        self.script = self.home / "qbd"
        shutil.copy(PROJECT / "qbd", self.script)
        (self.home / "requirements.txt").write_text("one\n")
        (self.home / "requirements-dev.txt").write_text("two\n")
        self.tools = folder / "tools"
        self.tools.mkdir()
        for name in ("sh", "dirname", "readlink", "cksum", "cat", "mkdir", "cp"):
            (self.tools / name).symlink_to(str(shutil.which(name)))
        self.log = folder / "log"
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()

    def add_python(self, name: str = "python3.12", text: str = STUB_PYTHON) -> None:
        path = self.tools / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        shell = shutil.which("dash") or "/bin/sh"
        return subprocess.run(
            [shell, str(self.script), *arguments],
            cwd=self.elsewhere,
            env={"PATH": str(self.tools), "STUB_LOG": str(self.log), **environment},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def done(self) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_first_use_installs_and_later_ones_start_at_once(copy: Copy) -> None:
    copy.add_python()
    first = copy.run("simulate", "my file.qwc")
    assert first.returncode == 0, first.stderr
    assert first.stdout == f"run|-P|-m|ops|simulate|my file.qwc|in {copy.elsewhere}|path {copy.home}"
    assert copy.done() == ["venv", "install requirements.txt"]
    second = copy.run("up")
    assert second.stderr == ""
    assert copy.done() == []


def test_changed_requirements_are_installed_again(copy: Copy) -> None:
    copy.add_python()
    copy.run("up")
    (copy.home / "requirements.txt").write_text("other\n")
    copy.done()
    copy.run("up")
    assert copy.done() == ["install requirements.txt"]


def test_tests_get_their_own_requirements(copy: Copy) -> None:
    copy.add_python()
    copy.run("test", "-k", "x")
    assert copy.done() == ["venv", "install requirements.txt", "install requirements-dev.txt"]
    copy.run("test")
    assert copy.done() == []


def test_failed_installation_is_done_again(copy: Copy) -> None:
    copy.add_python()
    failed = copy.run("up", STUB_PIP_FAILS="1")
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert "run the command again" in failed.stderr
    copy.done()
    assert copy.run("up").stdout.startswith("run")
    assert copy.done() == ["install requirements.txt"]


def test_broken_environment_is_made_again(copy: Copy) -> None:
    copy.add_python()
    copy.run("up")
    copy.done()
    (copy.home / ".venv" / "bin" / "python").unlink()
    shutil.rmtree(copy.home / ".venv")
    copy.run("up")
    assert copy.done() == ["venv", "install requirements.txt"]


def test_no_python_is_one_clear_line(copy: Copy) -> None:
    copy.add_python("python3", "#!/bin/sh\nexit 1\n")
    failed = copy.run("up")
    assert failed.returncode == 2
    (line,) = failed.stderr.splitlines()
    assert "no Python 3.11, 3.12 or 3.13" in line


def test_shim_that_does_not_run_is_passed_over(copy: Copy) -> None:
    copy.add_python("python3.13", "#!/bin/sh\nexit 127\n")
    copy.add_python("python3.11")
    assert copy.run("up").returncode == 0


def test_debian_python_without_venv_is_one_clear_line(copy: Copy) -> None:
    copy.add_python()
    failed = copy.run("up", STUB_NO_ENSUREPIP="1")
    assert failed.returncode == 2
    (line,) = failed.stderr.splitlines()
    assert "apt-get install python3-venv" in line


def test_link_leads_to_the_project(copy: Copy) -> None:
    copy.add_python()
    link = copy.elsewhere / "q"
    link.symlink_to(copy.script)
    done = subprocess.run(
        [str(link), "up"],
        env={"PATH": str(copy.tools), "STUB_LOG": str(copy.log)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"path {copy.home}" in done.stdout


def test_shellcheck_finds_nothing() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    subprocess.run([shellcheck, str(PROJECT / "qbd"), str(PROJECT / ".ci" / "run")], check=True, env=dict(os.environ))
