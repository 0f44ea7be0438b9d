"""`unlatch serve`: the service, in one process, until it is told to stop."""

from __future__ import annotations

import gc
import logging
import signal
import socket
from argparse import Namespace
from typing import Final, NoReturn

import uvicorn

from session_service.bounded_http import BoundedHttp
from session_service.cli.common import Commands, add_command, ensure_current, say, settings_of, write
from session_service.errors import SetupError
from session_service.fleet.tls import broker_context
from session_service.ledger import service as ledger
from session_service.secrets import load_secrets
from session_service.settings import Settings
from session_service.writer_lock import writer_lock

BACKLOG: Final = 2_048  # connections that wait for the loop, in a rush
KEEP_ALIVE_S: Final = 5  # between two requests on one connection
STOP_S: Final = 10  # requests under way get so long; event streams would never end by themselves


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "serve",
        _serve,
        summary="run the service until SIGINT or SIGTERM",
        example="UNLATCH_PUBLIC_URL=https://ride.example.org unlatch serve --host 0.0.0.0 --port 8080",
    )
    parser.add_argument("--host", help="address to listen on, instead of UNLATCH_HTTP_HOST")
    parser.add_argument("--port", help="instead of UNLATCH_HTTP_PORT")


def _serve(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    _see_that_it_can_start(settings)
    with writer_lock(settings.database_url):
        return _run(settings)


def _see_that_it_can_start(settings: Settings) -> None:
    """Find now what would end a start half-way, and say it in one line.

    Raises:
        SetupError: something is missing.
    """
    load_secrets(settings.secrets_dir)
    if settings.instance and settings.database_url.startswith("sqlite"):
        msg = "Several instances need PostgreSQL: one process alone may write to SQLite. Unset UNLATCH_INSTANCE"
        raise SetupError(msg)
    ensure_current(settings.database_url)
    write(settings, lambda connection: ledger.ensure_accounts(connection, settings.currency))
    broker_context(settings)


class _Server(uvicorn.Server):
    """Says where it answers, once it does.

    What has been loaded by then stays for good: it is taken out of the garbage collector's sight, which would look at
    all of it again and again, first while it is loaded (a quarter of that time) and then while riders wait (a fifth of
    the time of a Start).
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            gc.collect()
            gc.freeze()
            gc.enable()
            say(f"Unlatch answers at http://{self.config.host}:{self.config.port}")


def _run(settings: Settings) -> int:
    listener = _listen(settings)
    gc.disable()  # until all is loaded: ``_Server.startup``
    from session_service.app import create_app  # noqa: PLC0415 - OpenCV takes a second to load; only serving needs it

    _set_up_logs(settings.log_level)
    config = uvicorn.Config(
        create_app(settings),
        host=settings.http_host,
        port=settings.http_port,
        loop="uvloop",
        http=BoundedHttp,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # it would write the addresses of labels' pages; see measured.py
        server_header=False,
        proxy_headers=False,  # the application knows which proxies to believe
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
    )
    server = _Server(config)
    # uvicorn stops gracefully at these signals and then raises them again, for the handlers of before.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, _leave)
    server.run(sockets=[listener])
    return 0 if server.started else 1


def _set_up_logs(level: str) -> None:
    """Write our own lines from ``level`` on, and libraries' from WARNING on: they do not know what is secret here."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("session_service").setLevel(level)
    logging.getLogger("uvicorn").setLevel(max(logging.INFO, logging.getLevelNamesMapping()[level]))


def _listen(settings: Settings) -> socket.socket:
    """Take the address before anything is started.

    Raises:
        SetupError: it is taken, or not this machine's.
    """
    address = (settings.http_host, settings.http_port)
    family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
    try:
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        msg = (
            f"Cannot listen at {address[0]} port {address[1]} ({error}). Choose another address: UNLATCH_HTTP_HOST, "
            "UNLATCH_HTTP_PORT"
        )
        raise SetupError(msg) from error


def _leave(_signal: int, _frame: object) -> NoReturn:
    raise SystemExit(0)
