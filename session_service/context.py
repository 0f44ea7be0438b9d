"""What a running service consists of, and who is asking: the dependencies that endpoints share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from session_service.clock import Clock
from session_service.credentials import bearer_token
from session_service.database import Database
from session_service.secrets import Secrets
from session_service.settings import Settings

__all__ = ["Context", "InContext", "bearer_token", "context", "context_of"]


@dataclass(frozen=True, slots=True)
class Context:
    """One running service. Endpoints get it as an argument of type ``InContext``."""

    settings: Settings
    secrets: Secrets
    clock: Clock
    database: Database


def context_of(request: Request) -> Context:
    """Return the service that the request came to."""
    return cast("Context", request.app.state.context)


async def context(request: Request) -> Context:
    """``context_of``, as a dependency."""
    return context_of(request)


InContext = Annotated[Context, Depends(context)]
