"""Every setting: its name, default, meaning and rule. Values come from the environment that the caller hands over."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ops.problems import SettingsError

PREFIX = "QBD_"
TEST_PREFIX = "QBD_TEST_"
"""What the tests alone read; never a typing mistake."""
LOCAL_HOST = "localhost"
SECRET_KEY_MIN = 32
DATABASE_SCHEMES = ("sqlite", "postgresql", "postgres", "postgresql+psycopg")
_HIDDEN = ("database_url", "secret_key")
_PORT_FIELDS = ("soap_port", "api_port", "metrics_port", "temporal_port", "temporal_ui_port")


class SettingRow(NamedTuple):
    """One line of the table of settings."""

    name: str
    default: str
    description: str


TEMPORAL_SETTINGS = (
    SettingRow("TEMPORAL_ADDRESS", "the embedded server", "Temporal's frontend, `host:port`"),
    SettingRow("TEMPORAL_NAMESPACE", "default", "the namespace of the exports"),
    SettingRow("TEMPORAL_API_KEY", "none", "an API key; turns TLS on"),
    SettingRow("TEMPORAL_TLS", "false", "TLS without an API key; with `TEMPORAL_TLS_*` for certificates"),
    SettingRow("TEMPORAL_PROFILE", "default", "the profile to use of the file `TEMPORAL_CONFIG_FILE`"),
    SettingRow("TEMPORAL_CONFIG_FILE", "none", "a TOML file with connection profiles, the same as the CLI's"),
)
"""Read by `temporalio.envconfig`, not by us; listed because users set them beside ours."""


class Settings(BaseSettings):
    """What a process was told at its start; never changes afterwards."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    data_dir: Path = Field(Path(".qbd"), description="folder of the embedded databases and the logs")
    database_url: SecretStr | None = Field(
        None,
        description="SQLite or PostgreSQL, `postgresql://user:password@host/name`; default: a file in the data folder",
    )
    soap_port: int = Field(8080, ge=1, le=65535, description="port of the Web Connector bridge (SOAP)")
    api_port: int = Field(8081, ge=1, le=65535, description="port of the HTTP API")
    metrics_port: int = Field(9090, ge=1, le=65535, description="port of the worker's Prometheus metrics")
    temporal_port: int = Field(7233, ge=1, le=65535, description="port of the embedded Temporal server")
    temporal_ui_port: int = Field(8233, ge=1, le=65535, description="port of the embedded Temporal UI")
    temporal_ui_url: str = Field(
        "", description="address of the Temporal UI that links in answers lead to; default: the embedded one"
    )
    public_url: str = Field(
        "",
        description="where the Web Connector finds the bridge, https unless localhost; default: `http://localhost:<port>`",
    )
    console_url: str = Field(
        "", description="where people find the console, https unless localhost; default: `http://localhost:<port>`"
    )
    secret_key: SecretStr | None = Field(
        None, description="signs the console's links and sessions; at least 32 random characters; without it no console"
    )
    batch_size: int = Field(20, ge=1, le=500, description="most exports in one message set")
    batch_bytes: int = Field(500_000, ge=10_000, le=5_000_000, description="most bytes of one message set")
    session_budget_s: int = Field(240, ge=10, le=3600, description="seconds that one Web Connector session may work")
    list_page: int = Field(200, ge=10, le=2000, description="rows of a list that are asked for at once")
    list_sync_minutes: int = Field(
        60, ge=1, le=10_080, description="minutes after which QuickBooks' lists are asked for what changed"
    )
    password_grace_minutes: int = Field(
        60, ge=0, le=1440, description="minutes that a Web Connector's old password works after a change"
    )
    rate_limit_per_minute: int = Field(
        6000, ge=0, le=1_000_000, description="requests that one API key may send in a minute; 0 for any number"
    )
    webhook_allow_private: bool = Field(
        False, description="`true` lets webhooks lead to private addresses and http://localhost; for development only"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="`debug`, `info`, `warning` or `error`"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take only what `load_settings` hands over: the real environment must not leak into tests and children."""
        return (init_settings,)

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: SecretStr | None) -> SecretStr | None:
        scheme, mark, rest = (value.get_secret_value() if value else "sqlite:///x").partition("://")
        if scheme not in DATABASE_SCHEMES or not mark or not rest:
            raise ValueError("must look like postgresql://user:password@host/name or sqlite:///path")
        return value

    @field_validator("public_url", "console_url", "temporal_ui_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if not value:
            return value
        try:
            parts = urlsplit(value)
            _ = parts.port
        except ValueError:
            raise ValueError("is not a web address") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must look like https://host or https://host/path")
        return value.rstrip("/")

    @field_validator("public_url")
    @classmethod
    def _https_unless_local(cls, value: str) -> str:
        # The Web Connector itself refuses plain http to any other machine, and certificates are for names.
        host = urlsplit(value).hostname or ""
        if value.startswith("http:") and host != LOCAL_HOST:
            raise ValueError("must begin with https:// (http is for localhost only)")
        if ":" in host or host.rpartition(".")[2].isdigit():
            raise ValueError("must have a host name, not an IP address")
        return value

    @field_validator("console_url")
    @classmethod
    def _bare_https_unless_local(cls, value: str) -> str:
        # Its cookies are for a whole host, and over plain http anybody on the way could take them.
        parts = urlsplit(value)
        if value.startswith("http:") and parts.hostname != LOCAL_HOST:
            raise ValueError("must begin with https:// (http is for localhost only)")
        if parts.path:
            raise ValueError("must be a host without a path")
        return value

    @field_validator("secret_key")
    @classmethod
    def _long_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value and len(value.get_secret_value()) < SECRET_KEY_MIN:
            raise ValueError(f"must have at least {SECRET_KEY_MIN} characters")
        return value

    @model_validator(mode="after")
    def _one_process_per_port(self) -> Settings:
        seen: dict[int, str] = {}
        for field in _PORT_FIELDS:
            port = getattr(self, field)
            if port in seen:
                raise ValueError(
                    f"{env_name(seen[port])} and {env_name(field)} are both {port}; give each its own port"
                )
            seen[port] = field
        return self

    @property
    def database(self) -> str:
        """Give the address of the database: the one that was set, or the file in the data folder."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir.absolute() / 'qbd.sqlite3'}"

    @property
    def app_origin(self) -> str:
        """Give the address under which the Web Connector reaches the bridge, without a slash at its end."""
        return self.public_url or f"http://localhost:{self.soap_port}"

    @property
    def console_origin(self) -> str:
        """Give the address under which people find the console, without a slash at its end."""
        return self.console_url or f"http://localhost:{self.api_port}"

    @property
    def temporal_ui(self) -> str:
        """Give the address of the Temporal UI, without a slash at its end."""
        return self.temporal_ui_url or f"http://localhost:{self.temporal_ui_port}"

    def environment(self) -> dict[str, str]:
        """Give the variables that make `load_settings` build these settings again, for child processes."""
        values: dict[str, str] = {}
        for field in type(self).model_fields:
            value = getattr(self, field)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if value not in (None, ""):
                values[env_name(field)] = str(value.absolute() if isinstance(value, Path) else value)
        return values


def env_name(field: str) -> str:
    """Give the variable of a field of `Settings`."""
    return PREFIX + field.upper()


def settings_table() -> list[SettingRow]:
    """List every setting with its default and meaning: what the README and docker-compose.yml are compared with."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = "./.qbd" if name == "data_dir" else str(field.default or "")
        rows.append(SettingRow(env_name(name), default, field.description or ""))
    return [*rows, *TEMPORAL_SETTINGS]


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings; raise `SettingsError` with one line for each that is wrong. Empty means not set."""
    names = {env_name(field): field for field in Settings.model_fields}
    problems = [
        _unknown(name, names)
        for name in environ
        if name.startswith(PREFIX) and name not in names and not name.startswith(TEST_PREFIX)
    ]
    given: dict[str, Any] = {field: environ[name] for name, field in names.items() if environ.get(name, "").strip()}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise SettingsError("\n".join(problems + [_line(one) for one in error.errors(include_url=False)])) from None
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _unknown(name: str, names: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"{name} is not a setting" + (f"; did you mean {close[0]}?" if close else ".")


def _line(error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message + "."
    field = str(error["loc"][0])
    shown = "" if field in _HIDDEN else f" is {str(error['input'])!r}:"
    return f"{env_name(field)}{shown} {message[:1].lower() + message[1:]}."
