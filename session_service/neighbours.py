"""How the parts of the service take part in what ``instances.py`` knows; where there is one instance, they do not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Final

from sqlalchemy import Connection, func, select

from session_service.clock import Clock, SharedClock
from session_service.database import Database
from session_service.fleet.gateway import Gateway
from session_service.instances import Instances, Run
from session_service.sessions.elsewhere import Elsewhere
from session_service.sessions.live import Live
from session_service.watch.service import Watch

PREPARING_LOCK: Final = 0x756E6C64  # "unld"; migrations have "unla"


class Neighbours:
    """The other instances, as the parts of this one see them: there may be none.

    Attributes:
        leads: whether this instance does what is done once; ``None`` where there is no other.
    """

    def __init__(self, database_url: str, clock: Clock) -> None:
        """Take the database's URL and the installation's clock, which says whether there are several instances."""
        self._among = Instances(database_url, clock) if isinstance(clock, SharedClock) else None
        self.leads: Callable[[], bool] | None = None if self._among is None else self._leads

    def runs(
        self, once: Sequence[Run], *, database: Database, live: Live, watch: Watch, gateway: Gateway
    ) -> Sequence[Run]:
        """Return what is to run here: ``once`` while this instance leads, and what keeps it in touch with others."""
        if self._among is None:
            return once
        elsewhere = self._connect(self._among, database, live, watch)
        self._among.is_fit = gateway.connected.is_set
        return [self._among.run, elsewhere.run, *(partial(self._among.while_leading, run) for run in once)]

    async def joined(self) -> None:
        """Return when this instance goes by the common clock."""
        if self._among is not None:
            await self._among.joined.wait()

    def _leads(self) -> bool:
        return self._among is not None and self._among.leads

    def _connect(self, among: Instances, database: Database, live: Live, watch: Watch) -> Elsewhere:
        """Let this instance hear of what the others change, and them of what it changes."""
        elsewhere = Elsewhere(database, live)

        def tell(ids: Collection[str]) -> None:
            watch.note(ids)
            among.tell(ids)

        def hear(ids: Collection[str]) -> None:
            watch.note(ids)
            elsewhere.hear(ids)

        def doubt() -> None:
            watch.forget()
            elsewhere.look()

        database.on_change, among.hear, among.doubt = tell, hear, doubt
        return elsewhere


def one_after_the_other(connection: Connection) -> None:
    """Let instances that begin at the same time prepare the database one after the other."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(PREPARING_LOCK)))
