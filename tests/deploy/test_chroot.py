"""The Dockerfile builds, and what it makes runs read-only, as nobody special, with docker-compose.yml's own words.

Not Docker itself: a plain Debian with its own Python stands in for the Python image. It needs root, debootstrap,
unshare and PostgreSQL; QBD_TEST_CHROOT may name a folder that debootstrap has made before.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy import chroot
from tests.deploy.compose_file import PROJECT
from tests.support import postgres

SETTING = "QBD_TEST_CHROOT"
pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


def may_not() -> str:
    if os.geteuid() != 0:
        return "needs root"
    missing = [name for name in ("debootstrap", "unshare", "chroot", "setpriv", "ip") if shutil.which(name) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    if postgres.binaries() is None:
        return "no PostgreSQL is installed"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "true"], check=False, capture_output=True, timeout=30
    )
    return "namespaces are not permitted here" if tried.returncode else ""


def test_the_image_builds_and_runs(tmp_path: Path) -> None:
    """Built without network from hashed packages; every job and process of the file runs in it, to one export."""
    if reason := may_not():
        pytest.skip(reason)
    tmp_path.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    base = Path(os.environ.get(SETTING) or tmp_path / "base")
    if not base.exists():
        chroot.debian(base)
    (tmp_path / "wheels").mkdir()
    chroot.wheels(tmp_path / "wheels")
    root = chroot.build(base, tmp_path / "wheels", tmp_path)
    subprocess.run([str(PROJECT / "deploy" / "make-secrets.sh")], cwd=work, check=True, timeout=30)
    # Bound into the box as Compose binds them; the folder above is for its owner alone.
    os.chmod(work / "secrets", 0o755)  # noqa: PTH101
    apart = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc"]
    done = subprocess.run(
        [*apart, sys.executable, "-m", "tests.deploy.chroot", str(root), str(work)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    seen = json.loads(done.stdout)
    assert seen["status"] == "Successful"
    assert "is at this program's version" in seen["migrate"]
    assert "namespace tms-quickbooks: made" in seen["temporal-setup"]
    for service in ("bridge", "api", "worker"):
        assert seen[service] == f"{service}: ok\n"
        runs = seen[f"{service} runs"]
        assert set(runs["Uid"].split()) == set(runs["Gid"].split()) == {"10001"}
        assert runs["NoNewPrivs"] == "1"
        assert int(runs["CapBnd"], 16) == int(runs["CapEff"], 16) == 0
    assert not seen["writable"]
    assert seen["tools"] == []
    assert seen["prune"] == "Nothing that can be deleted is older than 400 days.\n"
    assert seen["exit codes"] == {"bridge": 0, "api": 0, "worker": 0, "prune": 0}
