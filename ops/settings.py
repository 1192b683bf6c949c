"""Every setting: its name, default, meaning and rule. Values come from the environment that the caller hands over."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ops.problems import SettingsError
from store.key_ring import KeyRing, read_key_ring

PREFIX = "QBD_"
TEST_PREFIX = "QBD_TEST_"
CLIENT_NAMES = frozenset({"QBD_API", "QBD_KEY"})
"""What the examples of the integration guide read: address and key of the API, for its clients."""
_OF_A_SERVICE = re.compile(
    rf"{PREFIX}(.+_)?(SERVICE_(HOST|PORT(_.+)?)|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
"""What the tests alone read; never a typing mistake."""
LOCAL_HOST = "localhost"
SECRET_KEY_MIN = 32
DATABASE_SCHEMES = ("sqlite", "postgresql", "postgres", "postgresql+psycopg")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
FILE_SUFFIX = "_FILE"
"""A secret may stand in a file that `NAME_FILE` names, as containers hand them over."""
SECRET_BYTES_MAX = 100_000
_HIDDEN = ("database_url", "secret_key", "payload_keys")
_PORT_FIELDS = (
    "soap_port",
    "api_port",
    "metrics_port",
    "bridge_metrics_port",
    "temporal_port",
    "temporal_ui_port",
    "codec_port",
)


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
    listen: str = Field(
        "127.0.0.1",
        description="address where bridge, API and codec server listen, in plain HTTP: `127.0.0.1` for this machine "
        "alone, `0.0.0.0` for all addresses, or one of them",
    )
    soap_port: int = Field(8080, ge=1, le=65535, description="port of the Web Connector bridge (SOAP)")
    api_port: int = Field(8081, ge=1, le=65535, description="port of the HTTP API")
    metrics_port: int = Field(9090, ge=1, le=65535, description="port of the worker's Prometheus metrics")
    bridge_metrics_port: int = Field(
        9091, ge=0, le=65535, description="port of the bridge's Prometheus metrics, apart from SOAP's; `0` for none"
    )
    metrics_host: Literal["127.0.0.1", "0.0.0.0"] = Field(
        "127.0.0.1", description="where both metrics ports listen: `127.0.0.1`, or `0.0.0.0` for all addresses"
    )
    metrics_companies: int = Field(
        0, ge=0, le=1000, description="companies with the longest queues that metrics name; `0` names none"
    )
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
    payload_keys: SecretStr | None = Field(
        None,
        description="keys that encrypt what Temporal stores, `id:base64,...`: the first encrypts, all decrypt",
    )
    codec_port: int = Field(
        8084, ge=1, le=65535, description="port of `qbd codec`, which decrypts payloads for the Temporal UI and CLI"
    )
    batch_size: int = Field(20, ge=1, le=500, description="most exports in one message set")
    batch_bytes: int = Field(500_000, ge=10_000, le=5_000_000, description="most bytes of one message set")
    session_budget_s: int = Field(240, ge=10, le=3600, description="seconds that one Web Connector session may work")
    drain_s: int = Field(
        0,
        ge=0,
        le=20,
        description="seconds that bridge and API still serve after SIGTERM while `/readyz` says 503 to load balancers",
    )
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
    trusted_proxies: str = Field(
        "",
        description="addresses or networks of proxies, with commas: their `X-Forwarded-For` and `-Proto` are believed",
    )
    webhook_allow_private: bool = Field(
        False, description="`true` lets webhooks lead to private addresses and http://localhost; for development only"
    )
    retention_days: int | None = Field(
        None,
        ge=7,
        le=3650,
        description="days after which `./qbd prune` deletes answers, timelines, delivered signals and notices that are "
        "over; without it nothing is deleted",
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

    @field_validator("payload_keys")
    @classmethod
    def _readable_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            read_key_ring(value.get_secret_value())
        return value

    @field_validator("listen")
    @classmethod
    def _ip_address(cls, value: str) -> str:
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            raise ValueError("must be an IP address of this machine, or 0.0.0.0 for all of them") from None

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        read_networks(value)
        return value

    @model_validator(mode="after")
    def _one_process_per_port(self) -> Settings:
        seen: dict[int, str] = {}
        for field in _PORT_FIELDS:
            port = getattr(self, field)
            if port and port in seen:
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
        return self.embedded_database

    @property
    def embedded_file(self) -> Path:
        """Give the file of the database that is used when none is named."""
        return self.data_dir.absolute() / "qbd.sqlite3"

    @property
    def embedded_database(self) -> str:
        """Give the address of that file."""
        return f"sqlite:///{self.embedded_file}"

    @property
    def payload_key_ring(self) -> KeyRing:
        """Give the keys of payload encryption; none when the setting is empty."""
        return read_key_ring(self.payload_keys.get_secret_value() if self.payload_keys else "")

    @property
    def proxy_networks(self) -> list[Network]:
        """Give the proxies whose word about a client's address counts."""
        return read_networks(self.trusted_proxies)

    @property
    def own_host(self) -> str:
        """Give the host of web addresses at which this machine itself reaches what listens at `listen`."""
        address = ipaddress.ip_address(self.listen)
        if address.is_unspecified:
            return "127.0.0.1" if address.version == 4 else "[::1]"
        return f"[{address}]" if address.version == 6 else str(address)

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


def read_networks(text: str) -> list[Network]:
    """Read addresses and networks with commas between; raises `ValueError`."""
    networks: list[Network] = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(part))
        except ValueError:
            raise ValueError(f"must hold addresses or networks such as 10.0.0.0/8; {part!r} is neither") from None
    return networks


def env_name(field: str) -> str:
    """Give the variable of a field of `Settings`."""
    return PREFIX + field.upper()


def secret_fields() -> list[str]:
    """List the fields whose value may stand in a file: all that are never shown."""
    return [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]


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
    files = {env_name(field) + FILE_SUFFIX: field for field in secret_fields()}
    environ = {name: value for name, value in environ.items() if not _is_of_others(name, value)}
    problems = [
        _unknown(name, names)
        for name in environ
        if name.startswith(PREFIX) and name not in names and name not in files and not name.startswith(TEST_PREFIX)
    ]
    given: dict[str, Any] = {field: environ[name] for name, field in names.items() if environ.get(name, "").strip()}
    for name, field in files.items():
        path = environ.get(name, "").strip()
        if not path:
            continue
        if field in given:
            problems.append(f"{env_name(field)} and {name} are both set; leave one of them out.")
            continue
        try:
            given[field] = _secret_in(Path(path))
        except ValueError as error:
            problems.append(f"{name} is {path!r}: {error}.")
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise SettingsError("\n".join(problems + [_line(one) for one in error.errors(include_url=False)])) from None
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _secret_in(path: Path) -> str:
    """Give what a file holds, without the line end that editors and `echo` leave."""
    try:
        with path.open("rb") as file:
            held = file.read(SECRET_BYTES_MAX + 1)
        text = held.decode("utf-8").strip()
    except OSError as error:
        raise ValueError(f"it cannot be read ({(error.strerror or 'unknown reason').lower()})") from None
    except UnicodeDecodeError:
        raise ValueError("it is not text") from None
    if not text or len(held) > SECRET_BYTES_MAX:
        raise ValueError("it is empty" if not text else "it is too long for a secret")
    return text


def _is_of_others(name: str, value: str) -> bool:
    """Say whether a variable with our prefix is not a setting: a client's, or one that Kubernetes sets for a Service.

    Kubernetes gives each container the addresses of all Services; one called `qbd-api` makes QBD_API_PORT an address
    such as tcp://10.0.0.7:8081.
    """
    return name in CLIENT_NAMES or _OF_A_SERVICE.fullmatch(name) is not None or _ADDRESS.match(value) is not None


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
