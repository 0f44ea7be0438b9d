"""The next version of the service, as an upgrade meets it: the same program with one migration more.

The migration expands, as every one does that is made while an old instance runs on (docs/decisions/0036): it adds a
column that may be empty, of which the program of before knows nothing.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Final

from alembic.script import ScriptDirectory

from simulators.errors import HouseError

PACKAGE: Final = "session_service"
MIGRATIONS: Final = "migrations"
REVISION: Final = "replay_next"
_MIGRATION: Final = '''"""A column of the next version, which may be empty."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it."""
    op.add_column("session", sa.Column("of_the_next_version", sa.Text, nullable=True))
'''


def make_newer(directory: Path) -> Path:
    """Make the next version in ``directory``, which must not exist, and return it: it goes first in ``PYTHONPATH``.

    Raises:
        HouseError: the service's package cannot be found.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        msg = f"The package {PACKAGE} is not installed here, so there is nothing to upgrade"
        raise HouseError(msg)
    present, made = Path(spec.origin).parent, directory / PACKAGE
    made.mkdir(parents=True)
    for entry in present.iterdir():
        if entry.name not in {MIGRATIONS, "__pycache__"}:
            (made / entry.name).symlink_to(entry)
    shutil.copytree(present / MIGRATIONS, made / MIGRATIONS, ignore=shutil.ignore_patterns("__pycache__"))
    before = ScriptDirectory(str(present / MIGRATIONS)).get_current_head()
    migration = _MIGRATION.format(revision=REVISION, before=before)
    (made / MIGRATIONS / "versions" / f"{REVISION}.py").write_text(migration)
    return directory
