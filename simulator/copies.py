"""Copies of a company file, and the many ways to spell where one lies."""

from pathlib import PureWindowsPath

from .company import CompanyFile
from .faults import Faults
from .records import CompanyState


def copy_of(company: CompanyFile, path: str, *, backup: str | None = None) -> CompanyFile:
    """Somebody copied the file to another place, now or when `backup` was taken; from then on each lives by itself.

    The copy bears the same name and, if the original did, the mark of the Web Connector (web-connector.md 3.3).
    """
    state = CompanyState.model_validate_json(backup or company.snapshot())
    state.path = path
    return CompanyFile(state, clock=company.clock, switches=company.switches, faults=Faults())


def archive_path(company: CompanyFile, folder: str = "Archive 2025") -> str:
    """Where somebody might keep a copy: a folder beside the file."""
    path = PureWindowsPath(company.path)
    return str(path.parent / folder / path.name)


def spellings(path: str, *, server: str = "FILESERVER", share: str = "Books") -> tuple[str, ...]:
    """The same place as other computers and programs write it: all of these open the one file."""
    windows = PureWindowsPath(path)
    below = windows.relative_to(windows.anchor)
    shared = f"\\\\{server}\\{share}\\{below}"
    return (
        path,
        path.replace("\\", "/"),
        path.upper(),
        f"{windows.drive}\\{below.parent}\\.\\{below.name}",
        shared,
        shared.replace("\\", "/"),
        f"Q:\\{below}",
    )
