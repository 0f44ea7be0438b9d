"""Who is asking, among operators. They are managed by the command line only: `unlatch operator`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from session_service.context import InContext, bearer_token
from session_service.operators import service
from session_service.operators.service import OperatorIdentity


async def operator(request: Request, context: InContext) -> OperatorIdentity:
    """Return the operator whose token the request carries.

    Raises:
        NotSignedInError: it carries none, or nobody's.
    """
    token = bearer_token(request)
    return await context.database.read(lambda connection: service.identify(connection, token))


InOperator = Annotated[OperatorIdentity, Depends(operator)]
