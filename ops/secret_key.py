"""The key of the embedded stack: made once in its data folder, so that a newcomer has a console without settings."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from ops.problems import StackError
from ops.settings import SECRET_KEY_MIN, Settings

FILE = "secret_key"
KEY_BYTES = 32


def with_secret_key(settings: Settings, folder: Path) -> Settings:
    """Give the settings with a key: the one that was set, else the one of the folder, which is made if need be."""
    if settings.secret_key is not None:
        return settings
    path = folder / FILE
    try:
        key = path.read_text("ascii").strip() if path.exists() else _make(path)
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f"The key file {path} cannot be used: {error}. Remove it or set QBD_SECRET_KEY.") from error
    if len(key) < SECRET_KEY_MIN:
        raise StackError(f"The key file {path} is damaged. Remove it: everybody has to sign in to the console again.")
    return settings.model_copy(update={"secret_key": SecretStr(key)})


def _make(path: Path) -> str:
    key = secrets.token_urlsafe(KEY_BYTES)
    # Written aside first: a start that is killed half-way leaves no half key.
    aside = path.with_suffix(".new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key + "\n")
    aside.replace(path)
    return key
