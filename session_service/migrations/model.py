"""Which older programs a schema serves as well."""

from __future__ import annotations

from sqlmodel import Field, SQLModel


class SchemaAlsoServes(SQLModel, table=True):
    """A revision whose programs work with this database though it has a newer one, as during an upgrade.

    That is the revision from which the database was last upgraded, unless a migration on the way says that it
    ``contracts``: takes something away that the program of before still uses (docs/decisions/0037).
    """

    __tablename__ = "schema_also_serves"

    revision: str = Field(primary_key=True, max_length=32)
