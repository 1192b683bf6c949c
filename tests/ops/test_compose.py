"""docker-compose.yml and Dockerfile against the settings and folders that the code has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.settings import load_settings, settings_table
from workflows import search_attributes

PROJECT = Path(__file__).resolve().parents[2]
OURS = ("migrate", "bridge", "api", "worker")
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
FILLED = {"POSTGRES_PASSWORD": "secret", "QBD_PUBLIC_URL": "https://qb.example.com", "QBD_SECRET_KEY": "k" * 40}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text("utf-8"))
    return loaded


def filled(value: str) -> str:
    def replace(match: re.Match[str]) -> str:
        name, kind, text = match.groups()
        if name in FILLED:
            return FILLED[name]
        assert kind == "-", f"{name} has neither default nor value here"
        return str(text)

    return VARIABLE.sub(replace, value)


def test_our_services_use_settings_that_exist(compose: dict[str, Any]) -> None:
    known = {row.name for row in settings_table()}
    for name in OURS:
        assert set(compose["services"][name]["environment"]) <= known


@pytest.mark.parametrize("name", OURS)
def test_our_services_start_with_valid_settings(compose: dict[str, Any], name: str) -> None:
    environment = compose["services"][name]["environment"]
    settings = load_settings({key: filled(str(value)) for key, value in environment.items()})
    assert settings.database == "postgresql://qbd:secret@postgresql:5432/qbd"
    assert environment["TEMPORAL_ADDRESS"] == "temporal:7233"


def test_variables_of_the_user_are_settings(compose: dict[str, Any]) -> None:
    text = (PROJECT / "docker-compose.yml").read_text("utf-8")
    known = {row.name for row in settings_table()} | {"POSTGRES_PASSWORD"}
    assert {name for name, _, _ in VARIABLE.findall(text.replace("$$", ""))} <= known


def test_published_ports_are_the_settings(compose: dict[str, Any]) -> None:
    settings = load_settings({})
    services = compose["services"]
    assert services["bridge"]["ports"] == [f"{settings.soap_port}:{settings.soap_port}"]
    assert services["api"]["ports"] == [f"{settings.api_port}:{settings.api_port}"]
    assert "ports" not in services["postgresql"]
    assert "ports" not in services["temporal"]


def test_images_are_pinned(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        tag = service["image"].rpartition(":")[2]
        assert re.fullmatch(r"[0-9]+(\.[0-9]+)+", tag), service["image"]


def test_long_running_services_are_watched(compose: dict[str, Any]) -> None:
    for name in ("postgresql", "temporal", "bridge", "api", "worker"):
        assert "healthcheck" in compose["services"][name], name


def test_dependencies_exist(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in compose["services"]
            one_shot = how["condition"] == "service_completed_successfully"
            assert one_shot != ("healthcheck" in compose["services"][needed])


def test_namespace_has_the_search_attributes_and_retention(compose: dict[str, Any]) -> None:
    script = compose["services"]["temporal-namespace"]["command"][0]
    for key in search_attributes.ALL:
        assert f"--name {key.name} --type Keyword" in script
    assert "--retention 720h" in script


def test_image_holds_every_folder_and_a_user() -> None:
    text = (PROJECT / "Dockerfile").read_text("utf-8")
    copied = set(re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE))
    imported = {path.parent.name for path in PROJECT.glob("*/__init__.py")} - {"tests", "simulator", "benchmarks"}
    assert copied == imported
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
