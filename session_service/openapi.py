"""What FastAPI does not know about the API and ``/openapi.json`` should say."""

from __future__ import annotations

from typing import Any, Final

from session_service.access import TABLE, Other
from session_service.credentials import cookie_name

SCHEMES: Final[dict[str, dict[str, str]]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A rider's or an operator's token."},
    "cookie": {"type": "apiKey", "in": "cookie", "description": "A rider's token, for pages of the service itself."},
}
_OPEN: Final = frozenset({Other.NOBODY, Other.DEVICE, Other.PROVIDER})  # the last two prove themselves in the body


def complete(document: dict[str, Any], public_url: str) -> None:
    """Add to an OpenAPI document how callers sign in, and that no parameter is ever ``null``."""
    cookie = {**SCHEMES["cookie"], "name": cookie_name(public_url)}
    document.setdefault("components", {})["securitySchemes"] = {"bearer": SCHEMES["bearer"], "cookie": cookie}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _sign_in(operation, TABLE.get(f"{method.upper()} {path}"))
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _without_null(parameter["schema"])


def _sign_in(operation: dict[str, Any], who: object) -> None:
    """Say it as the one table of who may do what has it."""
    if who is Other.RIDER:
        operation["security"] = [{"bearer": []}, {"cookie": []}]
    elif who not in _OPEN:
        operation["security"] = [{"bearer": []}]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter's schema without the ``null`` that stands for its absence: HTTP has no way to write it."""
    branches = [branch for branch in schema.get("anyOf", ()) if branch.get("type") != "null"]
    if len(branches) != 1:
        return schema
    return {**{name: value for name, value in schema.items() if name != "anyOf"}, **branches[0]}
