"""The API on a database with a small year in it."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from session_service.access import Role
from session_service.database import Database
from session_service.operators import service as operators
from tests.session_service.ledger.app import Api, serving
from tests.support.year import write_year

RIDES = 3_000


@dataclass
class Books:
    """The books of a year, and an operator who reads them."""

    api: Api
    token: str

    async def get(self, path: str) -> Any:
        answer = await self.api.get(path, self.token)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def file(self, path: str) -> list[list[str]]:
        """Return the rows of a file, with its header."""
        answer = await self.api.get(path, self.token)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.headers["content-disposition"].startswith('attachment; filename="')
        assert answer.text.endswith("\r\n")
        return list(csv.reader(io.StringIO(answer.text, newline="")))

    async def postings(self, path: str, limit: int = 700) -> list[Any]:
        """Return all postings that a figure names as its source, page by page."""
        rows, after = [], ""
        while True:
            page = await self.get(f"{path}&limit={limit}{after}")
            rows += page["rows"]
            if page["next_after"] is None:
                return rows
            after = f"&after={page['next_after']}"


@pytest.fixture
async def books(database: Database) -> AsyncIterator[Books]:
    async with serving(database) as api:
        await database.write(lambda c: write_year(c, RIDES))
        _, token = await database.write(
            lambda c: operators.add(c, "tests", actor="cli:tests", now_ms=1, role=Role.OPERATOR)
        )
        yield Books(api, token)
