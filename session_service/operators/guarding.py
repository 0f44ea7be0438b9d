"""Whether the service's operations are all in the table of access, and those for operators really ask for one."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from session_service.access import TABLE, Role, ensure_complete
from session_service.errors import SetupError
from session_service.operators.endpoints import operator


def ensure_guarded(app: FastAPI) -> None:
    """See that nobody can reach an operation of which it was not said who may.

    Raises:
        SetupError: one is not in the table, or is for operators and lacks the argument that checks it.
    """
    found = dict(_operations(app))
    ensure_complete(found)
    bare = [name for name, needs in found.items() if isinstance(TABLE[name], Role) and not _asks_for_operator(needs)]
    if bare:
        msg = f"These are for operators and let everybody in: {', '.join(bare)}. Give each an argument: InOperator"
        raise SetupError(msg)


def _operations(app: FastAPI) -> Iterator[tuple[str, Dependant | None]]:
    for route in iter_route_contexts(app.routes):
        for method in (route.methods or set()) - {"HEAD"}:  # Starlette adds it to each GET
            yield f"{method} {route.path}", getattr(route, "dependant", None)


def _asks_for_operator(needs: Dependant | None) -> bool:
    return needs is not None and any(part.call is operator or _asks_for_operator(part) for part in needs.dependencies)
