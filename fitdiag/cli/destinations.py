"""Where a report goes: what ``-o`` and ``--format`` mean together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fitdiag.errors import UsageError, WriteError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fitdiag.diagnosis import Diagnosis

__all__ = ["DOCUMENTS", "FORMATS", "STYLES", "Work", "plan"]

#: what a report can be, by the suffix of its file; text is for the terminal
FORMATS = ("text", "html", "png", "svg", "pdf", "json", "md")
#: those that a terminal can show
DOCUMENTS = ("text", "html", "svg", "json", "md")
#: what a picture can be made for
STYLES = ("report", "paper", "slide")
#: what is written when nothing else is asked for
DEFAULT = ("html", "png")


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one ``fitdiag report`` has to give.

    Parameters
    ----------
    files : tuple of (Path, str)
        Each file and its format.
    folders : frozenset of Path
        Those that are made where they are missing.
    printed : str or None
        The format that standard output is asked for.
    summary : bool
        Whether the summary goes to standard output.
    """

    files: tuple[tuple[Path, str], ...]
    folders: frozenset[Path]
    printed: str | None
    summary: bool

    def check(self, *, force: bool) -> None:
        """Refuse what could not be written later on, as far as it shows now.

        Raises
        ------
        WriteError
            If a file is not fitdiag's and ``force`` is not given, or a folder takes no file.
        """
        from fitdiag.report.destination import check_place

        for path, form in self.files:
            if path.parent.is_dir() or path.parent not in self.folders:
                check_place(path, form, force=force)

    def write(
        self,
        diagnosis: Diagnosis,
        *,
        force: bool,
        style: str = STYLES[0],
        title: bool | None = None,
    ) -> Iterator[Path]:
        """Write the files, each whole or not at all, and yield each one once it is there.

        Raises
        ------
        WriteError
            If one of them cannot be written, or is not fitdiag's and ``force`` is not given.
        """
        from fitdiag.report import write_report

        for path, form in self.files:
            if path.parent in self.folders:
                _make_folder(path.parent)
            yield write_report(diagnosis, path, format=form, force=force, style=style, title=title)


def plan(log: str, outputs: tuple[str, ...], form: str | None, *, terminal: bool) -> Work:
    """Decide what goes where, before anything is read.

    Parameters
    ----------
    log : str
        The log, whose name the report's files take.
    outputs : tuple of str
        The ``-o`` arguments.
    form : str or None
        The ``--format`` argument.
    terminal : bool
        Whether standard output is one.

    Raises
    ------
    UsageError
        For a suffix that is no format, or arguments that contradict each other.
    """
    stem = Path(log).resolve().name if log in {".", ".."} else Path(log).name
    stem = stem if Path(log).is_dir() else Path(stem).stem
    printed = None
    folders: list[Path] = []
    files: list[tuple[Path, str]] = []
    for output in outputs:
        if output == "-":
            printed = form or "text"
        elif _is_folder(output):
            folder = Path(output)
            folders.append(folder)
            forms = (form,) if form else DEFAULT
            files += [(folder / f"{stem}.report.{_suffix(one)}", one) for one in forms]
        else:
            files.append((Path(output), _format_of(output, form)))
    if not outputs and form:
        printed = form
    if not outputs and not form:
        files = [(Path(f"{stem}.report.{one}"), one) for one in DEFAULT]
    if printed is not None and printed not in DOCUMENTS and terminal:
        raise UsageError(
            f"a {printed} cannot be shown on a terminal; name a file, for example "
            f"-o {stem}.report.{printed}."
        )
    return Work(
        files=tuple(dict.fromkeys(files)),
        folders=frozenset(folders),
        printed=printed,
        summary=form is None,
    )


def _suffix(form: str) -> str:
    return "txt" if form == "text" else form


def _is_folder(output: str) -> bool:
    return output.endswith(("/", "\\")) or Path(output).is_dir()


def _format_of(output: str, form: str | None) -> str:
    """Return the format of a file by its suffix, or by ``--format`` where it has none."""
    from fitdiag.report import SUFFIXES
    from fitdiag.report.destination import choose_format

    known = SUFFIXES.get(Path(output).suffix.lower())
    if known is not None and form is not None and known != form:
        raise UsageError(f"-o {output} and --format {form} contradict each other; drop one.")
    if form is None and not Path(output).suffix:
        raise UsageError(
            f"{output} has no suffix: for a folder write {output}/, for a file end it in one of "
            f"{', '.join(SUFFIXES)}"
        )
    return choose_format(output, form)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise WriteError(f"cannot make the folder {folder}: {why}") from error
