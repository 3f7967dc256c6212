"""``mopo-tf2 plot``: one picture of whatever runs the given folders hold."""

from collections.abc import Sequence
from pathlib import Path

from ..files import ensure_writable_folder
from ..logging import PROGRESS_FILE
from ..pictures.diagnostics import diagnostics_pages
from ..pictures.pages import Page, check_suffix, save_pages
from ..pictures.plots import plot_learning_curves
from ..pictures.task_figures import curve_pages
from ..pictures.task_runs import TaskRuns, by_task
from ..records.run_records import RunRecord, read_records
from ..tables.published import NO_PAPER, read_published
from mopo_tf2.errors import InputError


def plot_folders(
    folders: Sequence[Path],
    out: Path,
    *,
    key: str | None = None,
    reference: Sequence[tuple[str, Path]] = (),
    paper: str = NO_PAPER,
) -> Path:
    """Draw the runs in ``folders`` into one picture.

    Run folders of one task: as ``plots.plot_learning_curves``. Folders of runs, or runs of
    several tasks: a panel of learning curves for each task, then rows of diagnostics; in a PDF as
    pages, else one below the other.

    Args:
        folders: run folders, or folders with runs at any depth.
        out: the picture; PNG, PDF or SVG by its suffix. Written atomically.
        key: column of progress.csv; None for the return of runs of one task, and for the
            normalised score by task.
        reference: (label, progress.csv) of curves to draw beside runs of one task.
        paper: published scores to draw as lines by task, see ``published.read_published``.

    Returns:
        ``out``.

    Raises:
        InputError: if there is no run, a file or a column is unfit, references are given for
            runs of several tasks, or ``out`` cannot be written.
    """
    out = check_suffix(out)
    published = read_published(paper)
    are_runs = all((folder / PROGRESS_FILE).is_file() for folder in folders)
    # Without parameters a run cannot say its task; drawn with others it is told by its folder.
    if are_runs and len(by_task(read_records(folders))) <= 1:
        return plot_learning_curves(folders, out, key=key, reference=reference)
    if reference:
        raise InputError("--reference goes with run folders of one task: name these.")
    tasks = tasks_of(read_records(folders))
    pages: list[Page] = [*curve_pages(tasks, key=key, published=published)]
    pages += diagnostics_pages(tasks)
    ensure_writable_folder(out.parent)
    save_pages(pages, out)
    return out


def tasks_of(records: Sequence[RunRecord]) -> list[TaskRuns]:
    """Return the runs by task.

    Raises:
        InputError: if no run says what it is.
    """
    tasks = by_task(records)
    if not tasks:
        names = ", ".join(str(record.folder) for record in records[:3])
        raise InputError(f"no run says its task: {names} have no readable config or parameters.")
    return tasks
