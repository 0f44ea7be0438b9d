"""Every error's answer: a problem document (RFC 9457) that names the next step."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
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


async def _http_error(_request: Request, error: Exception) -> Response:
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
    return JSONResponse(body, error.status_code, error.headers, media_type=MEDIA_TYPE)


async def _our_fault(_request: Request, error: Exception) -> Response:
    """Answer when something has failed that should not; the server's log has it in full."""
    if may_pass(error):
        return answer(UnreachableError("Try again in a few seconds, with the same Idempotency-Key."))
    return answer(InternalError("Try again later, and tell the operator if it stays so."))
