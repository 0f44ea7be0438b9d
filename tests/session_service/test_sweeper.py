"""The sweeper: what goes wrong with one thing that is due is no matter of the others'."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from sqlalchemy import Connection

from session_service.clock import Clock
from session_service.commands.dispatcher import Dispatcher
from session_service.context import Context
from session_service.database import Database
from session_service.secrets import Secrets
from session_service.sessions import repository
from session_service.sessions.service import Moved
from session_service.settings import Settings
from session_service.sweeper import Sweeper

if TYPE_CHECKING:
    from session_service.fleet.gateway import Gateway
    from session_service.sessions.service import Sessions


class Rules:
    """Rules of sessions that cannot cope with the first of two."""

    def __init__(self) -> None:
        self.swept: list[str] = []

    def sweep_one(self, _connection: Connection, session_id: str, device_id: str) -> Moved:
        self.swept.append(session_id)
        if device_id == "BROKEN":
            msg = "a tariff that nobody can read"
            raise ValueError(msg)
        return Moved()


class Announcer:
    """A gateway that tells nobody."""

    async def announce(self, moved: Moved) -> None:
        assert moved == Moved()


async def test_a_session_that_cannot_be_swept_does_not_keep_the_others_waiting(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(repository, "due", lambda *_: [("FIRST", "BROKEN"), ("SECOND", "WHOLE")])
    clock, rules = Clock(), Rules()
    context = Context(Settings(), cast("Secrets", None), clock, database)
    dispatcher = Dispatcher(database, clock, context.secrets)
    sweeper = Sweeper(context, cast("Sessions", rules), dispatcher, cast("Gateway", Announcer()))
    await sweeper.sweep()
    assert rules.swept == ["FIRST", "SECOND"]
    assert "FIRST" in caplog.text
