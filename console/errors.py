"""What went wrong, in human words: a page, or a part of one for a script of ours."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from console.pages import render
from console.services import console_of
from tms_api.problems import ProblemError, internal_error

TITLES = {
    400: "That could not be read",
    401: "You are signed out",
    403: "You may not do this",
    404: "There is nothing here",
    405: "That does not work here",
    409: "That does not fit any more",
    413: "That is too much at once",
    422: "Something is missing or wrong",
    429: "That was too fast",
    500: "Something went wrong on our side",
    503: "Not reachable right now",
}
WORDS = {
    "route_not_found": "This page does not exist. It may have moved, or the address was mistyped.",
    "company_not_found": "There is no such company, or your sign-in is not for it.",
    "not_found": "This page does not exist. It may have moved, or the address was mistyped.",
    "scope_missing": "Your sign-in may look at this, but not change it. Ask whoever gave you the key for more rights.",
    "key_of_one_company": "Your sign-in is for one company only; it cannot connect another one.",
    "method_not_allowed": "This address only takes a form of ours. Go back and press the button there.",
    "internal_error": "It was logged and nothing was half done. Try once more; if it comes again, tell our support.",
    "database_unavailable": "Our database does not answer. Nothing was changed; try again in a moment.",
    "temporal_unreachable": "A part of our service does not answer. Try again in a moment; nothing is done twice.",
    "malformed_json": "The form could not be read. Go back, reload the page and try again.",
    "request_invalid": "Something in the form is missing or cannot be used. Go back, correct it and try again.",
}
WITH_RELOAD = {"form_expired", "form_foreign"}


def problem_page(request: Request, problem: ProblemError) -> Response:
    """Show why something was refused."""
    template = "error_part.html" if "x-live" in request.headers else "error.html"
    back = _page_before(request) if problem.status == 401 else ""
    response = render(
        request,
        template,
        status=problem.status,
        title=TITLES.get(problem.status, "That did not work"),
        text=WORDS.get(problem.code, problem.detail),
        # What the API says of a request speaks of its fields and patterns; people see the form.
        issues=[] if problem.code == "request_invalid" else problem.issues,
        code=problem.code,
        status_code=problem.status,
        asks_to_reload=problem.code in WITH_RELOAD,
        sign_in=f"/sign-in?next={quote(back, safe='')}" if back else "/sign-in",
    )
    if back:
        console_of(request).doorkeeper.set_way_back(response, back)
    for name, value in problem.headers.items():
        if name.lower() != "www-authenticate":
            response.headers[name] = value
    return response


def _page_before(request: Request) -> str:
    """Give the page of ours that a form or a script was on, to go back to after signing in."""
    before = urlsplit(request.headers.get("referer", ""))
    if before.netloc != request.headers.get("host") or not before.path.startswith("/c/"):
        return ""
    return before.path + (f"?{before.query}" if before.query else "")


def failure_page(request: Request) -> Response:
    """Say that the fault is ours."""
    return problem_page(request, internal_error())
