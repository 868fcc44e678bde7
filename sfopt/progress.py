"""A live line per stage on a terminal; silence anywhere else."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from sfopt.pipeline import silent

__all__ = ["Line", "progress_line"]


class Line:
    """What is shown of a run. Called with (stage, done, total), total 0 for a stage without a count; shows nothing by itself."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """A stage has begun or come further."""
        silent(stage, done, total)

    def solve(self, level: str, value: int | None, bound: int) -> None:
        """The planner has found or proven something: the best value of a level so far, and what is proven."""

    def end(self) -> None:
        """Nothing more comes: what is printed next has the screen."""


class _Live(Line):
    """The line on a terminal: stages that are over stay as long as the run, the last one is live."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.tasks: dict[str, TaskID] = {}
        self.level = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self.tasks:
            for task in self.tasks.values():
                self.progress.update(task, visible=False)
            self.tasks[stage] = self.progress.add_task(escape(stage), total=total or None)
            self.progress.refresh()  # a stage that is over at once was there too
        self.progress.update(self.tasks[stage], completed=done, total=total or None)

    def solve(self, level: str, value: int | None, bound: int) -> None:
        found = "nothing yet" if value is None else f"{value:,}"
        proven = "proven" if value == bound else f"bound {bound:,}"
        if "solve" in self.tasks:
            self.progress.update(self.tasks["solve"], description=escape(f"solve: {level} {found}, {proven}"))
            if level != self.level:
                self.level = level
                self.progress.refresh()

    def end(self) -> None:
        self.progress.stop()


@contextmanager
def progress_line(console: Console) -> Iterator[Line]:
    """Yields what a run tells how far it is. Nothing is written unless the console is a terminal that can move its cursor."""
    if not console.file.isatty() or not console.is_terminal or console.is_dumb_terminal:
        yield Line()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Live(progress)
