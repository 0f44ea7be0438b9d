"""What a guard is, for ``tests/mutants.py``: a line that keeps something out, and the tests that miss it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.planting import Change


@dataclass(frozen=True)
class Guard:
    """A guard: how it is removed, and which tests notice.

    Attributes:
        name: what it keeps out, in a few words.
        file: where it stands.
        old: its text, which stands there once.
        new: what stands there without it.
        tests: pytest's names of the tests, each below ``tests/``, the quickest ones that do.
        behind: other guards that do the same and are removed as well, or else nothing would be wrong.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    behind: tuple[Change, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """All that is to be planted."""
        return (Change(self.file, self.old, self.new), *self.behind)
