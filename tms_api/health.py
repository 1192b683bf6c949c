"""Health and metrics: no key, nothing secret."""

from __future__ import annotations

from anyio import to_thread
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field
from starlette.responses import Response

from tms_api.problems import ProblemError, documented
from tms_api.services import Services

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """How this process fares."""

    status: str = Field(description="`ok`.", examples=["ok"])


class Readiness(Health):
    """How this process and what it needs fare."""

    database: str = Field(description="`ok`.", examples=["ok"])
    temporal: str = Field(description="`ok`.", examples=["ok"])


@router.get("/healthz")
async def healthz() -> Health:
    """Say that the process serves."""
    return Health(status="ok")


@router.get("/readyz", responses=documented(503))
async def readyz(services: Services) -> Readiness:
    """Say whether the database and Temporal answer."""
    database = await to_thread.run_sync(services.database.answers)
    temporal = await services.exporter.reachable()
    if not (database and temporal):
        missing = " and ".join(name for name, ok in (("the database", database), ("Temporal", temporal)) if not ok)
        raise ProblemError(503, "not_ready", f"Not ready: {missing} cannot be used.")
    return Readiness(status="ok", database="ok", temporal="ok")


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus metrics."}},
)
def metrics(services: Services) -> Response:
    """Give the metrics of this process for Prometheus."""
    return Response(generate_latest(services.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
