"""The data folder is for its user alone: it holds books, answers of QuickBooks, a key, and logs."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterator
from pathlib import Path

PRIVATE_UMASK = 0o077
_OTHERS = 0o077
_OURS = ("qbd.sqlite3*", "temporal.sqlite3*", "secret_key*", "lock", "logs")


def be_private() -> None:
    """Let every file that this process and its children make from now on be for their user alone."""
    os.umask(PRIVATE_UMASK)


def tighten(folder: Path) -> list[Path]:
    """Take from others what they may read or write of our files in the folder; give the paths that were changed.

    The folder itself is left alone when it holds other things than ours, is shared (sticky), or is another user's: who
    named his home folder keeps it as it is. Raises OSError when that is not possible.
    """
    entries = sorted(folder.iterdir())
    ours = [one for one in entries if any(fnmatch.fnmatch(one.name, pattern) for pattern in _OURS)]
    changed = [one for one in _with_logs(ours) if _closed(one)]
    if len(ours) == len(entries) and not folder.stat().st_mode & stat.S_ISVTX and _closed(folder):
        changed.insert(0, folder)
    return changed


def _with_logs(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        yield path
        if path.name == "logs" and path.is_dir() and not path.is_symlink():
            yield from sorted(path.iterdir())


def _closed(path: Path) -> bool:
    try:
        found = path.lstat()
        is_wide = bool(found.st_mode & _OTHERS) and not stat.S_ISLNK(found.st_mode) and found.st_uid == os.geteuid()
        if is_wide:
            path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
    except FileNotFoundError:  # SQLite takes its files away when the last one closes
        return False
    return is_wide
