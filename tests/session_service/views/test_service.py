from __future__ import annotations

import pytest

from session_service.access import Role
from session_service.database import Database
from session_service.operators import service as operators
from session_service.views import repository, service
from session_service.views.errors import TooManyViewsError, UnknownViewError
from session_service.views.service import VIEWS_MAX

NOW_MS = 1_000


async def an_operator(database: Database, name: str) -> str:
    made = await database.write(lambda c: operators.add(c, name, actor="cli:test", now_ms=1, role=Role.VIEWER))
    return made[0].id


async def kept(database: Database, operator_id: str, name: str, query: str) -> str:
    return (await database.write(lambda c: service.keep(c, operator_id, name, query, NOW_MS))).id


async def shown(database: Database, operator_id: str) -> list[tuple[str, str]]:
    return [(view.name, view.query) for view in await database.read(lambda c: repository.views_of(c, operator_id))]


async def test_views_are_their_operators_alone(database: Database) -> None:
    ada, eve = await an_operator(database, "Ada"), await an_operator(database, "Eve")
    view_id = await kept(database, ada, "pods", "kind=pod")
    assert (await shown(database, ada), await shown(database, eve)) == ([("pods", "kind=pod")], [])
    with pytest.raises(UnknownViewError):
        await database.write(lambda c: service.remove(c, eve, view_id))
    await database.write(lambda c: service.remove(c, ada, view_id))
    assert await shown(database, ada) == []
    with pytest.raises(UnknownViewError):
        await database.write(lambda c: service.remove(c, ada, view_id))


async def test_the_same_name_again_replaces_what_had_it(database: Database) -> None:
    ada = await an_operator(database, "Ada")
    first = await kept(database, ada, "mine", "kind=pod")
    assert await kept(database, ada, "mine", "kind=bike&battery=20") == first
    assert await shown(database, ada) == [("mine", "kind=bike&battery=20")]


async def test_there_is_a_bound_to_them(database: Database) -> None:
    ada = await an_operator(database, "Ada")
    for number in range(VIEWS_MAX):
        await kept(database, ada, f"view {number}", "")
    await kept(database, ada, "view 0", "kind=pod")
    with pytest.raises(TooManyViewsError, match="Delete one"):
        await kept(database, ada, "one more", "")
