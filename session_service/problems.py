"""Every error's answer: a problem document (RFC 9457) that names the next step."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException

from session_service import metrics
from session_service.database import may_pass
from session_service.errors import (
    TYPE_PREFIX,
    InternalError,
    MalformedError,
    NotSignedInError,
    Problem,
    TooManyRequestsError,
    UnreachableError,
)

MEDIA_TYPE = "application/problem+json"


def install(app: FastAPI) -> None:
    """Let the application answer every error with a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _our_fault)


def answer(problem: Problem, **headers: str) -> Response:
    """Return a problem as a response, counted, with the headers that its status asks for and those given."""
    metrics.PROBLEMS.labels(problem.type).inc()
    if isinstance(problem, NotSignedInError):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(problem, TooManyRequestsError):
        headers["Retry-After"] = str(problem.retry_after_s)
    return JSONResponse(problem.as_json(), problem.status, headers, media_type=MEDIA_TYPE)


async def _problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        raise error
    return answer(error)


async def _malformed(_request: Request, error: Exception) -> Response:
    fields = error.errors() if isinstance(error, RequestValidationError) else []
    wrong = [{"field": ".".join(str(part) for part in field["loc"]), "problem": field["msg"]} for field in fields]
    detail = "Correct these fields and send it again; /openapi.json says what each may be."
    return answer(MalformedError(detail, fields=wrong))


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Response(status_code=error.status_code)  # bodies.py, outside of this, makes the problem of every one
    body: dict[str, Any] = {
        "type": f"{TYPE_PREFIX}http-{error.status_code}",
        "title": str(error.detail),
        "status": error.status_code,
        "detail": "See /openapi.json for what this service answers.",
    }
    headers = error.headers
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(_methods(request))}
    return JSONResponse(body, error.status_code, headers, media_type=MEDIA_TYPE)


def _methods(request: Request) -> list[str]:
    """Return all methods of a path (RFC 9110 section 15.5.6). Starlette names those of the first of its routes only."""
    routes = [route for route in iter_route_contexts(request.app.routes) if route.methods]
    fitting = [route for route in routes if route.path_regex.match(request.scope["path"])]
    return sorted({method for route in fitting for method in route.methods or ()})


async def _our_fault(_request: Request, error: Exception) -> Response:
    """Answer when something has failed that should not; the server's log has it in full."""
    if may_pass(error):
        return answer(UnreachableError("Try again in a few seconds, with the same Idempotency-Key."))
    return answer(InternalError("Try again later, and tell the operator if it stays so."))
