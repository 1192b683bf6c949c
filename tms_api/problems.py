"""Problem details (RFC 9457): the one form of every error of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mapping.issues import Issue, Owner
from mapping.parsing import path_of
from tms_api.services import TemporalUnreachableError

MEDIA_TYPE = "application/problem+json"
BODY_BYTES_MAX = 8 * 1024 * 1024
"""Far above a document of 1000 lines or a mapping of 50,000 customers."""
STATE_KEY = "problem_code"
"""Where the code of a refusal is left for the log."""


class Problem(BaseModel):
    """Why a request was refused, and what to do."""

    type: str = Field(
        description="Stable name of this kind of problem.", examples=["urn:tms-quickbooks:problem:not_found"]
    )
    code: str = Field(description="The same, short: snake_case, stable.", examples=["document_not_exportable"])
    title: str = Field(description="The HTTP status in words.", examples=["Unprocessable Content"])
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(description="One plain sentence about this request.")
    issues: list[Issue] = Field(default=[], description="Every single finding, when there are several.")


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        issues: Sequence[Issue] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.issues = list(issues)
        self.headers = dict(headers or {})


def view_of(error: ProblemError) -> Problem:
    """Give the problem as it is written."""
    return Problem(
        type=f"urn:tms-quickbooks:problem:{error.code}",
        code=error.code,
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.detail,
        issues=error.issues,
    )


def problem_response(error: ProblemError) -> Response:
    """Write the problem. ASCII only: a request may hold half a surrogate pair, and the answer may quote it."""
    problem = view_of(error).model_dump()
    return Response(json.dumps(problem), status_code=error.status, headers=error.headers, media_type=MEDIA_TYPE)


def internal_error() -> ProblemError:
    """Say that the fault is ours, and nothing else."""
    return ProblemError(500, "internal_error", "Something went wrong here. It was logged; sending it again may help.")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the problems of a route for OpenAPI."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Turn every exception that has a meaning into its problem."""

    async def on_problem(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        setattr(request.state, STATE_KEY, problem.code)
        return problem_response(problem)

    for kind in (
        ProblemError,
        HTTPException,
        RequestValidationError,
        TemporalUnreachableError,
        OperationalError,
        InterfaceError,
        PoolTimeoutError,
    ):
        app.add_exception_handler(kind, on_problem)


def problem_of(error: Exception) -> ProblemError:
    """Give the problem that an exception with a meaning stands for."""
    match error:
        case ProblemError():
            return error
        case RequestValidationError():
            return _validation_problem(error)
        case HTTPException():
            return _http_problem(error)
        case TemporalUnreachableError():
            return ProblemError(
                503,
                "temporal_unreachable",
                "Temporal is not reachable; send the same request again: it will be the same export.",
                headers={"Retry-After": "10"},
            )
        case _:
            return ProblemError(
                503,
                "database_unavailable",
                "The database does not answer; send the same request again.",
                headers={"Retry-After": "10"},
            )


def _http_problem(error: HTTPException) -> ProblemError:
    headers = dict(error.headers or {})
    match error.status_code:
        case 400:
            return _malformed()
        case 404:
            return ProblemError(404, "route_not_found", "There is nothing at this address; see /openapi.json.")
        case 405:
            allowed = headers.get("Allow", "another method")
            detail = f"This address does not take this method, but {allowed}."
            return ProblemError(405, "method_not_allowed", detail, headers=headers)
        case 413:
            limit = f"{BODY_BYTES_MAX // (1024 * 1024)} MiB"
            return ProblemError(413, "body_too_large", f"A request may hold at most {limit}.")
        case status:
            return ProblemError(status, HTTPStatus(status).name.lower(), HTTPStatus(status).phrase, headers=headers)


def _malformed() -> ProblemError:
    return ProblemError(400, "malformed_json", "The body is not JSON; send UTF-8 JSON with application/json.")


def _validation_problem(error: RequestValidationError) -> ProblemError:
    findings = error.errors()
    if any(finding["type"] == "json_invalid" for finding in findings):
        return _malformed()
    if any(finding["loc"][0] == "path" for finding in findings):
        # An id that cannot exist is an id that does not exist.
        return ProblemError(404, "not_found", "There is nothing with this id.")
    return ProblemError(
        422,
        "request_invalid",
        "The request cannot be understood; each finding is in `issues`.",
        issues=[_issue(finding) for finding in findings],
    )


def _issue(finding: Mapping[str, Any]) -> Issue:
    where, *rest = finding["loc"]
    path = path_of(rest) or str(where)
    match finding["type"]:
        case "missing":
            code, message = "field_missing", f"`{path}` is missing."
        case "extra_forbidden":
            code, message = "field_unknown", f"`{path}` is not known here."
        case "string_too_long":
            limit = finding["ctx"]["max_length"]
            code, message = "text_too_long", f"`{path}` is longer than {limit} characters."
        case "value_error":
            code, message = "field_invalid", f"`{path}` cannot be used: {finding['ctx']['error']}."
        case _:
            text = str(finding["msg"])
            code, message = "field_invalid", f"`{path}` cannot be used: {text[:1].lower()}{text[1:]}."
    next_step = f"Correct `{path}` and send the request again; /openapi.json describes it."
    if path == "body":
        next_step = "Send a JSON object with the header `Content-Type: application/json`."
    return Issue(code=code, path=path, message=message, next_step=next_step, owner=Owner.TMS_USER)
