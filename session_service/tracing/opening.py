"""Which parts the service is made of: the plain ones, or those that make traces.

The only module here that is loaded where traces are off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp

from session_service.commands.dispatcher import Dispatcher
from session_service.database import Database, open_database
from session_service.errors import SetupError
from session_service.fleet.gateway import Gateway
from session_service.measured import Measured
from session_service.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """How the parts that a trace goes through are made, and what is to be done when they are done with."""

    measured: Callable[[ASGIApp], ASGIApp] = Measured
    database: Callable[[str], Database] = open_database
    dispatcher: Callable[..., Dispatcher] = Dispatcher
    gateway: Callable[..., Gateway] = Gateway
    close: Callable[[], None] = lambda: None


def parts_of(settings: Settings) -> Parts:
    """Return the plain parts, or, if the settings name a collector, those that make traces.

    Raises:
        SetupError: a collector is named, and OpenTelemetry is not installed.
    """
    if not settings.otlp_endpoint:
        return Parts()
    try:
        from session_service.tracing import parts  # noqa: PLC0415 - needs an extra; loaded where it is wanted alone
        from session_service.tracing.traces import Traces  # noqa: PLC0415
    except ImportError as error:
        msg = (
            "UNLATCH_OTLP_ENDPOINT asks for traces, but OpenTelemetry is not installed. Install it, or unset the "
            f"variable: pip install 'unlatch[trace]' ({error})"
        )
        raise SetupError(msg) from error
    return parts.traced(Traces(settings.otlp_endpoint, settings.otlp_sample_ratio, settings.cell))
