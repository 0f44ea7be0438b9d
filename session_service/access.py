"""Who may do what: the one table of it. The checks, the start-up, ``docs/access.md`` and the matrix test all read it.

An operation is an HTTP method and a path as the router has it. Where what is asked for in the body or the query needs
more than the operation itself, a further row names the field, and its value if it is one of several. What is not in the
table nobody may do: the service does not start with such an operation.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, TypeAlias, cast

from session_service.errors import NotAllowedError, SetupError


class Role(StrEnum):
    """What an operator is, the least first. Each may do all that those before it may."""

    VIEWER = "viewer"
    TECHNICIAN = "technician"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """Return whether this role is ``needed`` or above it."""
        return _RANKS.index(self) >= _RANKS.index(needed)


_RANKS: Final = tuple(Role)


class Other(StrEnum):
    """Who is no operator."""

    NOBODY = "nobody"
    RIDER = "rider"
    DEVICE = "device"
    PROVIDER = "payment provider"


Who: TypeAlias = Role | Other

MEANING: Final[dict[Who, str]] = {
    Other.NOBODY: "everybody, signed in or not",
    Other.RIDER: "a rider, guest or not, by the rider's token; what belongs to another rider is not found",
    Other.DEVICE: "a device, by its claim or its certificate",
    Other.PROVIDER: "a payment provider, by its signature",
    Role.VIEWER: "an operator who looks and changes nothing",
    Role.TECHNICIAN: "an operator who looks after devices and labels",
    Role.OPERATOR: "an operator who decides on sessions, money and identities, and opens locks from afar",
    Role.ADMIN: "an operator who decides who the operators are, and which keys labels are signed with",
}

COMMANDS: Final = "POST /v1/ops/devices/{device_id}/commands"
OPEN_FROM_AFAR: Final = f"{COMMANDS} with action unlock"  # it lets somebody at a thing that stands in the street
SESSIONS: Final = "GET /v1/ops/sessions"
ONE_RIDERS: Final = f"{SESSIONS} with rider_id"

TABLE: Final[dict[str, Who]] = {
    # The API's own description, its figures and its health
    "GET /openapi.json": Other.NOBODY,
    "GET /docs": Other.NOBODY,
    "GET /docs/oauth2-redirect": Other.NOBODY,
    "GET /redoc": Other.NOBODY,
    "GET /healthz": Other.NOBODY,
    "GET /readyz": Other.NOBODY,
    "GET /metrics": Other.NOBODY,
    # Riders
    "GET /L/{label_id}/{signature}": Other.NOBODY,
    "POST /L/{label_id}/{signature}": Other.NOBODY,  # without money in a wallet it leads to where one pays
    "GET /s/{session_id}": Other.RIDER,
    "GET /s/{session_id}/{action}": Other.NOBODY,  # it leads to the ride's page
    "POST /s/{session_id}/{action}": Other.RIDER,
    "GET /": Other.NOBODY,
    "GET /help": Other.NOBODY,
    "GET /privacy": Other.NOBODY,
    "GET /offline": Other.NOBODY,
    "GET /sw.js": Other.NOBODY,
    "GET /manifest.webmanifest": Other.NOBODY,
    "GET /favicon.ico": Other.NOBODY,
    "GET /s/{session_id}/receipt.pdf": Other.RIDER,
    "GET /history": Other.NOBODY,
    "GET /wallet": Other.NOBODY,  # it shows a stranger how to become a rider with money
    "GET /wallet/top-ups": Other.NOBODY,
    "GET /wallet/refunds": Other.NOBODY,
    "POST /wallet/top-ups": Other.NOBODY,
    "GET /wallet/top-ups/{top_up_id}": Other.RIDER,
    "POST /wallet/refunds": Other.RIDER,
    "GET /static/{digest}/{name:path}": Other.NOBODY,
    "GET /v1/tariffs": Other.NOBODY,
    "GET /nearby": Other.NOBODY,
    "GET /scan": Other.NOBODY,
    "GET /scan/{how}": Other.NOBODY,
    "POST /scan/number": Other.NOBODY,
    "POST /scan/photo": Other.NOBODY,
    "GET /v1/nearby": Other.NOBODY,
    "POST /v1/scans": Other.NOBODY,
    "POST /v1/scans/number": Other.NOBODY,  # only beside the thing, and few wrong ones: docs/decisions/0017
    "POST /v1/scans/identify": Other.RIDER,
    "POST /v1/riders": Other.NOBODY,
    "POST /v1/riders/me/tokens": Other.RIDER,
    "GET /v1/riders/me/export": Other.RIDER,
    "POST /v1/riders/me/erasure": Other.RIDER,
    "GET /account": Other.NOBODY,  # it shows a stranger how to find an account again
    "POST /account/passkeys/{passkey_id}/remove": Other.RIDER,
    "GET /account/erase": Other.RIDER,
    "POST /account/erase": Other.RIDER,
    "GET /account/erased": Other.NOBODY,
    "GET /v1/passkeys": Other.RIDER,
    "GET /v1/passkeys/options": Other.RIDER,
    "POST /v1/passkeys": Other.RIDER,
    "DELETE /v1/riders/me/passkeys/{passkey_id}": Other.RIDER,
    "GET /v1/passkeys/sign-ins/options": Other.NOBODY,
    "POST /v1/passkeys/sign-ins": Other.NOBODY,  # the passkey says who it is
    "GET /v1/wallet": Other.RIDER,
    "POST /v1/wallet/top-ups": Other.RIDER,
    "GET /v1/wallet/top-ups/{top_up_id}": Other.RIDER,
    "POST /v1/wallet/refunds": Other.RIDER,
    "GET /v1/wallet/refunds": Other.RIDER,
    "GET /v1/wallet/refunds/{refund_id}": Other.RIDER,
    "POST /v1/sessions": Other.RIDER,
    "GET /v1/sessions": Other.RIDER,
    "GET /v1/sessions/{session_id}": Other.RIDER,
    "GET /v1/sessions/{session_id}/receipt": Other.RIDER,
    "GET /v1/sessions/{session_id}/events": Other.RIDER,
    "POST /v1/sessions/{session_id}/finish": Other.RIDER,
    "POST /v1/sessions/{session_id}/pause": Other.RIDER,
    "POST /v1/sessions/{session_id}/resume": Other.RIDER,
    "POST /v1/sessions/{session_id}/problems": Other.RIDER,
    "POST /v1/payments/sandbox/webhooks": Other.PROVIDER,
    # Devices and their labels
    "GET /v1/ops/fleet": Role.VIEWER,
    "GET /v1/ops/fleet/events": Role.VIEWER,
    "GET /v1/ops/views": Role.VIEWER,  # one's own: they change nothing that others see, so the audit has none of it
    "POST /v1/ops/views": Role.VIEWER,
    "DELETE /v1/ops/views/{view_id}": Role.VIEWER,
    "GET /v1/ops/devices": Role.VIEWER,
    "GET /v1/ops/devices/{device_id}": Role.VIEWER,
    "POST /v1/ops/devices": Role.OPERATOR,
    "POST /v1/ops/devices/{device_id}/claims": Role.OPERATOR,
    "POST /v1/ops/devices/{device_id}/revoke": Role.OPERATOR,
    "POST /v1/enrolments": Other.DEVICE,
    "POST /v1/enrolments/renewals": Other.DEVICE,
    "POST /v1/ops/devices/{device_id}/maintenance": Role.TECHNICIAN,
    "POST /v1/ops/devices/{device_id}/ready": Role.TECHNICIAN,
    "POST /v1/ops/devices/{device_id}/alerts/{kind}/clear": Role.TECHNICIAN,
    "GET /v1/ops/alerts": Role.VIEWER,
    "GET /v1/ops/alerts/{alert_id}": Role.VIEWER,
    "GET /v1/ops/alerts/{alert_id}/history": Role.TECHNICIAN,  # it names people, and what they gave as their reasons
    "GET /v1/ops/notices": Role.TECHNICIAN,
    "POST /v1/ops/alerts/{alert_id}/acknowledge": Role.TECHNICIAN,
    "POST /v1/ops/alerts/{alert_id}/assign": Role.TECHNICIAN,
    "POST /v1/ops/alerts/{alert_id}/mute": Role.TECHNICIAN,
    "POST /v1/ops/alerts/{alert_id}/clear": Role.TECHNICIAN,
    "GET /v1/ops/visits": Role.VIEWER,
    "GET /v1/ops/visits/route": Role.VIEWER,
    "GET /v1/ops/visits/{stop_id}": Role.VIEWER,
    "POST /v1/ops/visits/{stop_id}/assign": Role.TECHNICIAN,
    "POST /v1/ops/visits/{stop_id}/notes": Role.TECHNICIAN,
    "POST /v1/ops/visits/{stop_id}/done": Role.TECHNICIAN,
    COMMANDS: Role.TECHNICIAN,
    OPEN_FROM_AFAR: Role.OPERATOR,
    "GET /v1/ops/devices/{device_id}/commands": Role.VIEWER,
    "GET /v1/ops/commands/{command_id}": Role.VIEWER,
    "GET /v1/ops/devices/{device_id}/telemetry": Role.VIEWER,
    "GET /v1/ops/devices/{device_id}/reports": Role.VIEWER,
    "GET /v1/ops/devices/{device_id}/setup": Role.VIEWER,
    "GET /v1/ops/devices/{device_id}/labels": Role.VIEWER,
    "POST /v1/ops/devices/{device_id}/labels": Role.TECHNICIAN,
    "GET /v1/ops/labels": Role.VIEWER,
    "POST /v1/ops/labels/{label_id}/revoke": Role.TECHNICIAN,
    "POST /v1/ops/labels/{label_id}/mounted": Role.TECHNICIAN,
    "POST /v1/ops/labels/{label_id}/reinstate": Role.TECHNICIAN,
    "POST /v1/ops/labels/sheets": Role.TECHNICIAN,
    "GET /v1/ops/labels/{label_id}/signatures/{signature}": Role.VIEWER,
    "GET /v1/ops/label-keys": Role.VIEWER,
    "POST /v1/ops/label-keys/rotate": Role.ADMIN,
    "POST /v1/ops/label-keys/{key_id}/retire": Role.ADMIN,  # it can end every label there is
    "GET /v1/ops/devices/{device_id}/presence": Role.VIEWER,
    "POST /v1/ops/devices/{device_id}/presence": Role.OPERATOR,
    "POST /v1/ops/devices/{device_id}/display-secret": Role.TECHNICIAN,  # who mounts the display puts it in
    "GET /v1/ops/labels/sheet.pdf": Role.TECHNICIAN,  # who has a label's picture can stick it onto something else
    "GET /v1/ops/labels/{label_id}.png": Role.TECHNICIAN,
    "GET /v1/ops/labels/{label_id}.svg": Role.TECHNICIAN,
    # Operators
    "GET /ops": Other.NOBODY,  # the page itself; what it shows it asks the API for
    "GET /ops/sw.js": Other.NOBODY,
    "GET /ops/{path:path}": Other.NOBODY,
    "POST /v1/ops/sign-ins": Other.NOBODY,
    "GET /v1/ops/sign-ins/current": Role.VIEWER,
    "DELETE /v1/ops/sign-ins/current": Role.VIEWER,
    "POST /v1/ops/sign-ins/current/password": Role.VIEWER,
    "GET /v1/ops/operators": Role.ADMIN,
    "GET /v1/ops/colleagues": Role.VIEWER,  # names alone: who goes where is no secret among them
    "POST /v1/ops/operators/{operator_id}/role": Role.ADMIN,
    "POST /v1/ops/operators/{operator_id}/revoke": Role.ADMIN,
    "GET /v1/ops/approvals": Role.VIEWER,
    "POST /v1/ops/approvals/{approval_id}/confirm": Role.OPERATOR,  # as who asks for it: it opens a lock
    "POST /v1/ops/approvals/{approval_id}/decline": Role.OPERATOR,
    "GET /v1/ops/audit": Role.OPERATOR,  # it names people, and what they gave as their reasons
    "GET /v1/ops/audit/verification": Role.OPERATOR,
    # Sessions and money
    SESSIONS: Role.VIEWER,
    ONE_RIDERS: Role.OPERATOR,  # put together, they say where one person went
    "GET /v1/ops/sessions/counts": Role.VIEWER,
    "POST /v1/ops/sessions/{session_id}/end": Role.OPERATOR,
    "GET /v1/ops/sessions/{session_id}": Role.VIEWER,
    "GET /v1/ops/sessions/{session_id}/case": Role.OPERATOR,  # it shows a rider's wallet
    "POST /v1/ops/sessions/{session_id}/decisions/preview": Role.OPERATOR,
    "POST /v1/ops/sessions/{session_id}/decisions": Role.OPERATOR,
    "GET /v1/ops/tariffs": Role.VIEWER,
    "POST /v1/ops/tariffs/preview": Role.OPERATOR,
    "POST /v1/ops/tariffs": Role.ADMIN,  # what everybody pays from then on
    "GET /v1/ops/reports/takings": Role.VIEWER,
    "GET /v1/ops/reports/takings.csv": Role.VIEWER,
    "GET /v1/ops/reports/refunds": Role.VIEWER,
    "GET /v1/ops/reports/use": Role.VIEWER,
    "GET /v1/ops/reports/use/devices": Role.VIEWER,
    "GET /v1/ops/reports/postings": Role.OPERATOR,  # these name riders' accounts
    "GET /v1/ops/reports/postings.csv": Role.OPERATOR,
    "GET /v1/ops/reports/holds": Role.OPERATOR,
    "GET /v1/ops/reports/holds.csv": Role.OPERATOR,
    "GET /v1/ops/reports/debts": Role.OPERATOR,
    "GET /v1/ops/reports/debts.csv": Role.OPERATOR,
    "GET /v1/ops/reports/top-ups": Role.OPERATOR,
    "GET /v1/ops/reports/top-ups.csv": Role.OPERATOR,
    "GET /v1/ops/ledger/check": Role.VIEWER,
    "GET /v1/ops/ledger/accounts/{account_id}": Role.OPERATOR,  # a rider's payments are the rider's own matter
}


def operation(scope: Any) -> str:  # noqa: ANN401 - an ASGI scope
    """Return the operation that a request came to, as the table names it."""
    return f"{scope['method']} {scope['route'].path}"


def require(role: Role, what: str) -> None:
    """Let a role pass for an operation, or for what its body asks for.

    Raises:
        NotAllowedError: it needs a higher role.
        KeyError: nobody may do this, for it is not in the table.
    """
    needed = cast("Role", TABLE[what])
    if not role.covers(needed):
        msg = (
            f"This needs the role {needed} or a higher one; yours is {role}. Ask a colleague who has it, or an admin "
            f"for the role."
        )
        raise NotAllowedError(msg, role=role, needs=needed)


def ensure_complete(operations: Iterable[str]) -> None:
    """See that the table says who may do each of these operations.

    Raises:
        SetupError: it does not; the message names them.
    """
    missing = sorted(set(operations) - TABLE.keys())
    if missing:
        msg = (
            f"Nobody has said who may do this: {', '.join(missing)}. Add each to TABLE in session_service/access.py, "
            "and run: make docs"
        )
        raise SetupError(msg)
