"""Puts the API together. Whoever runs it hands over everything it needs; nothing is global."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from tms_api import (
    bulk,
    choosing,
    companies,
    connections,
    console_links,
    description,
    documents,
    exports,
    external_items,
    health,
    mappings,
    problems,
    quiet_hours,
    resolving,
    suggestions,
    targets,
    webhooks,
)
from tms_api.access import RateLimiter
from tms_api.auto_retry import AutoRetry
from tms_api.examples import add_examples
from tms_api.failed_keys import FailedKeys
from tms_api.headers import SecurityHeaders
from tms_api.observe import Observer
from tms_api.services import ApiServices, Exporter, ExportNotRunningError, TemporalUnreachableError

__all__ = ["ApiServices", "ExportNotRunningError", "Exporter", "TemporalUnreachableError", "build_app"]

VERSION = "1.0.0"
DESCRIPTION = (
    "Exports invoices and carrier bills of a TMS into QuickBooks Desktop, each exactly once.\n\n"
    "Every refusal is a problem detail (RFC 9457) with a `code`; documents and mappings that cannot be used come back "
    "with every reason in `issues`."
)


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Describe the API, with what all routes share."""
        if self.openapi_schema is None:
            schema = super().openapi()
            description.complete(schema)
            add_examples(schema)
            self.openapi_schema = schema
        return self.openapi_schema


@functools.cache
def _routes() -> tuple[BaseRoute, ...]:
    """Give the routes of every application: they hold nothing of one, and FastAPI takes long to analyse them."""
    shared = APIRouter(generate_unique_id_function=lambda route: route.name)
    for router in (
        companies.router,
        companies.releases_router,
        connections.router,
        console_links.router,
        quiet_hours.router,
        external_items.router,
        suggestions.router,
        targets.router,
        choosing.router,
        mappings.router,
        bulk.router,
        exports.router,
        resolving.router,
        documents.router,
        webhooks.router,
        health.router,
    ):
        shared.include_router(router)
    return tuple(shared.routes)


@asynccontextmanager
async def _going_on(app: FastAPI) -> AsyncIterator[None]:
    """Go on with exports that shall start again, and let them be when the process ends."""
    auto_retry: AutoRetry = app.state.auto_retry
    await auto_retry.resume()
    watching = asyncio.create_task(auto_retry.watch())
    yield
    watching.cancel()
    auto_retry.stop()


def build_app(services: ApiServices) -> FastAPI:
    """Build the application; pages of the console may be mounted on it."""
    app = _Api(
        title="TMS to QuickBooks Desktop",
        version=VERSION,
        description=DESCRIPTION,
        # FastAPI's pages load their scripts from a network; the document itself is at /openapi.json.
        docs_url=None,
        redoc_url=None,
        # A redirect would be an answer that is neither a result nor a problem.
        redirect_slashes=False,
        lifespan=_going_on,
    )
    app.state.services = services
    app.state.auto_retry = AutoRetry(services)
    app.state.failed_keys = FailedKeys(services.clock)
    app.state.limiter = RateLimiter(services.rate_limit_per_minute, services.clock)
    problems.install(app)
    app.router.routes.extend(_routes())
    app.add_middleware(Observer, metrics=services.metrics, tracing=services.tracing)
    app.add_middleware(SecurityHeaders, is_https=services.is_public_https)
    return app
