"""Table of the riders."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

from session_service.database import big


class Rider(SQLModel, table=True):
    """A guest. Nothing is known of the person; ``token_nonce`` makes the token, and a new one revokes the old."""

    id: str = Field(primary_key=True, max_length=26)
    token_nonce: str = Field(max_length=26)
    created_at_ms: int = big()
