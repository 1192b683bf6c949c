"""Problems that end a command with one line for a person instead of a traceback."""

from __future__ import annotations


class ProblemError(Exception):
    """Something the caller can mend; the text says what is wrong and what to do, in one line."""


class SettingsError(ProblemError):
    """One or more settings have values that cannot be used; one line for each."""


class PortInUseError(ProblemError):
    """Another process listens on a port that we need."""

    def __init__(self, port: int, setting: str) -> None:
        super().__init__(f"Port {port} is in use; stop the process that has it or set {setting} to another port.")
        self.port = port
        self.setting = setting


class StackError(ProblemError):
    """A part of the embedded stack did not start."""


class DemoError(ProblemError):
    """The demo could not be carried through."""
