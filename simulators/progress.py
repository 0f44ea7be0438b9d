"""Shows how a replay goes: a bar in a terminal, a line now and then in a log."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from simulators.report import Tally

LOG_LINES: Final = 20  # of a whole replay, where there is no terminal


class Watch:
    """A context manager that hears of each step, and of the tally after each trip."""

    def __init__(self, console: Console, trips: int) -> None:
        self._console = console
        self._every = max(1, trips // LOG_LINES)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._progress.add_task("trips", total=trips)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def tell(self, line: str) -> None:
        """Show a step."""
        self._console.print(f"{line} ...", style="dim", highlight=False)

    def told(self, tally: Tally) -> None:
        """Show how far the trips are."""
        done = tally.completed + len(tally.failures)
        failed = f", {len(tally.failures)} failed" if tally.failures else ""
        self._progress.update(self._task, completed=done, description=f"trips{failed}")
        if not self._console.is_terminal and done % self._every == 0:
            self._console.print(f"{done} of {tally.trips} trips{failed}", style="dim", highlight=False)
