"""Puts the console on the API's application."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from console import (
    assets,
    companies,
    connect,
    connection,
    document,
    documents,
    errors,
    home,
    mapping,
    sign_in,
    words,
)
from console.assets import Assets, read_assets
from console.filters import FILTERS
from console.services import Console
from console.signing import Signer
from console.visitors import Doorkeeper
from tms_api.problems import problem_of, problem_response
from tms_api.services import services_of

TEMPLATES = Path(__file__).parent / "templates"
API_PREFIXES = ("/v1", "/openapi.json", "/healthz", "/readyz", "/metrics")


def install(app: FastAPI, *, signer: Signer, origin: str) -> None:
    """Serve the console at `/` of the API's application; `origin` is where people find it."""
    files, templates = _look()
    app.state.console = Console(
        origin=origin,
        signer=signer,
        doorkeeper=Doorkeeper(app.state.services.database, signer, is_secure=origin.startswith("https:")),
        templates=templates,
        assets=files,
    )
    app.router.routes.extend(_routes())
    app.add_exception_handler(HTTPException, _not_found)


@functools.cache
def _routes() -> tuple[BaseRoute, ...]:
    """Give the pages' routes, analysed once in a process as the API's are."""
    shared = APIRouter()
    for router in (
        assets.router,
        home.router,
        sign_in.router,
        companies.router,
        connect.router,
        connection.router,
        mapping.router,
        documents.router,
        document.router,
    ):
        shared.include_router(router)
    return tuple(shared.routes)


@functools.cache
def _look() -> tuple[Assets, Environment]:
    """Read the files and compile the templates once in a process."""
    files = read_assets()
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters.update(FILTERS)
    templates.filters.update(standing=words.standing, owner=words.owner, file_name=words.file_name)
    more: dict[str, Any] = {"asset": files.address}
    templates.globals.update(more)
    return files, templates


async def _not_found(request: Request, error: Exception) -> Response:
    # What no route takes: a program gets the API's problem, a person a page.
    problem = problem_of(error)
    request.state.problem_code = problem.code
    if request.url.path.startswith(API_PREFIXES) or "text/html" not in request.headers.get("accept", ""):
        return problem_response(problem)
    services = services_of(request)
    request.state.visitor = request.app.state.console.doorkeeper.visitor(request, services.clock())
    return errors.problem_page(request, problem)
