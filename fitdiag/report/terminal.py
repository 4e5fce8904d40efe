"""The summary that fits one screen of a terminal, and with ``verbose`` everything."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

from fitdiag.report.destination import GENERATOR
from fitdiag.report.figure import draw_up
from fitdiag.report.sentences import (
    describe_evidence,
    describe_gradients,
    describe_length,
    describe_regret,
    name_run,
    say_advice,
    say_confidence,
    say_copy,
    say_files,
    say_pick,
    say_reason,
)
from fitdiag.report.sparkline import Blocks, draw_losses, draw_marks
from fitdiag.report.words import (
    SEVERITIES,
    TEXT_LENGTH,
    VERDICTS,
    clean,
    group_skips,
    number,
)

if TYPE_CHECKING:
    from fitdiag.diagnosis import Diagnosis
    from fitdiag.findings import Finding
    from fitdiag.run import Run

__all__ = ["Terminal", "render_text"]

#: lines of a summary at the most: a screen of 24 less a prompt and the names of written files
LINES = 20
#: columns of a summary: no narrower, no wider
NARROWEST, WIDEST = 24, 100
#: columns below which names stand above what they name, instead of to its left
TIGHT = 40

_INDENT, _TIGHT_INDENT = 13, 8
#: columns that the last value of a curve takes
_VALUE = 12
#: columns of a file's name that stand beside the rest of the first line, before it is wrapped
_NAME = 24
_TONES = {"good": "32", "fair": "36", "warn": "33", "bad": "31", "unknown": "35"}
_ROLES = {"train": "36", "val": "33"}


class Terminal:
    """How lines are set: their width, their characters and their colours.

    Parameters
    ----------
    width : int
        Columns.
    color : bool
        Whether ANSI colours are set.
    unicode : bool
        Whether more than ASCII can be shown.
    """

    def __init__(self, *, width: int, color: bool, unicode: bool) -> None:
        self.width = min(max(width, NARROWEST), WIDEST)
        self.color = color
        self.unicode = unicode
        self.tight = self.width < TIGHT

    def paint(self, text: str, code: str) -> str:
        """Return a text in a colour, or as it is."""
        return f"\033[{code}m{text}\033[0m" if self.color and text else text

    def wrap(self, text: str, first: str = "", rest: str | None = None) -> list[str]:
        """Return a text in lines, the first of them after ``first``, the others after ``rest``."""
        rest = " " * len(first) if rest is None else rest
        wrapper = textwrap.TextWrapper(
            width=self.width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
        )
        return wrapper.wrap(self.plain(text))

    def plain(self, text: str) -> str:
        """Return a text in ASCII where nothing else can be shown."""
        if self.unicode:
            return text
        return text.replace("…", "...").encode("ascii", "backslashreplace").decode()

    def field(self, name: str, *texts: str) -> list[str]:
        """Return paragraphs with a bold name before the first of them."""
        return self.headed(name, [(text, "") for text in texts if text])

    def headed(self, name: str, items: list[tuple[str, str]]) -> list[str]:
        """Return texts, each with what its further lines are indented by, under a bold name."""
        margin = " " * (4 if self.tight else _INDENT)
        lines = [line for text, more in items for line in self.wrap(text, margin, margin + more)]
        if not lines:
            return []
        if self.tight:
            return [f"  {self.paint(name, '1')}", *lines]
        head = self.paint(name.ljust(_INDENT - 2), "1")
        return [f"  {head}{lines[0][_INDENT:]}", *lines[1:]]


def render_text(
    diagnosis: Diagnosis,
    *,
    verbose: bool = False,
    color: bool = False,
    width: int | None = None,
    unicode: bool | None = None,
) -> str:
    """Return the summary of a diagnosis.

    Parameters
    ----------
    diagnosis : Diagnosis
        What is told.
    verbose : bool
        Tell all findings with their evidence, what passed, and the reader's notes.
    color : bool
        Set ANSI colours.
    width : int, optional
        Columns. Default: those of the terminal.
    unicode : bool, optional
        Whether more than ASCII may be used. Default: where standard output can show it.

    Returns
    -------
    str
        Lines, with a newline at the end.
    """
    terminal = Terminal(
        width=shutil.get_terminal_size((80, 24)).columns if width is None else width,
        color=color,
        unicode=_shows_unicode() if unicode is None else unicode,
    )
    advice = [] if diagnosis.findings == () else say_advice(diagnosis)
    lines = _summary(terminal, diagnosis, advice)
    while len(lines) > LINES and len(advice) > 1 and not verbose:
        advice = advice[:-1]
        lines = _summary(terminal, diagnosis, advice)
    if verbose:
        lines += _details(terminal, diagnosis)
    return terminal.plain("\n".join(lines)) + "\n"


def _shows_unicode() -> bool:
    try:
        "▁█◆…✔".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _summary(terminal: Terminal, diagnosis: Diagnosis, advice: list[str]) -> list[str]:
    sign = VERDICTS[diagnosis.verdict].sign
    title = f"{sign.mark if terminal.unicode else sign.plain} {sign.title}"
    confidence = say_confidence(diagnosis)
    fits = len(f"  {title}, {confidence}") <= terminal.width
    painted = terminal.paint(title, f"1;{_TONES[sign.tone]}")
    together = f"  {painted}" + (f", {confidence}" if confidence else "")
    length = describe_length(diagnosis)
    room = terminal.width - len(GENERATOR) - len(length) - 4
    name = clean(name_run(diagnosis), room if room >= _NAME else terminal.width)
    head = (
        (f"{GENERATOR}  {name}  {length}",)
        if room >= len(name)
        else (f"{GENERATOR}  {name}", length)
    )
    numbered = [(f"{rank}. {text}", "   ") for rank, text in enumerate(advice, start=1)]
    pick = [
        say_pick(diagnosis) + (f". {describe_regret(diagnosis)}" if diagnosis.checkpoint else "")
    ]
    return [
        *(terminal.paint(line, "2") for part in head for line in terminal.wrap(part)),
        "",
        *([together] if fits else [f"  {painted}", f"  {confidence}"]),
        *terminal.wrap(say_reason(diagnosis), "  "),
        "",
        *_chart(terminal, diagnosis),
        *terminal.field("Keep", *pick),
        *terminal.field("File", say_files(diagnosis), say_copy(diagnosis)),
        *terminal.field("Gradients", describe_gradients(diagnosis)),
        *terminal.headed("Next", numbered),
        *terminal.field("Not judged", _unjudged(diagnosis)),
    ]


def _unjudged(diagnosis: Diagnosis) -> str:
    """Return what could not be judged: the two most common reasons, and how many there are more."""
    groups = sorted(group_skips(diagnosis.skipped), key=_rank_skips)
    said = [
        f"{clean(reason, 120).rstrip('.')} ({', '.join(codes)})" for reason, codes in groups[:2]
    ]
    rest = len(groups) - len(said)
    more = f"; {rest} more {'reason' if rest == 1 else 'reasons'} (-v)" if rest else ""
    return "; ".join(said) + more


def _rank_skips(group: tuple[str, tuple[str, ...]]) -> tuple[bool, int]:
    """Rank a reason: most codes first; that nobody watched the loop is no news, and comes last."""
    codes = group[1]
    return codes[0].startswith("LOP"), -len(codes)


def _chart(terminal: Terminal, diagnosis: Diagnosis) -> list[str]:
    """Return the losses as lines of blocks with their last values, and the marks beneath."""
    figure = draw_up(diagnosis)
    blocks = Blocks(unicode=terminal.unicode)
    indent = _TIGHT_INDENT if terminal.tight else _INDENT
    width = terminal.width - indent - (_VALUE - 1 if terminal.tight else _VALUE)
    lines = draw_losses(figure, width, blocks)
    if not lines:
        return []
    curves = {"train": diagnosis.run.train_loss, "val": diagnosis.run.val_loss}
    ends = {role: number(curve.values[-1]) for role, curve in curves.items() if curve is not None}
    names = {"train": "Train", "val": "Valid" if terminal.tight else "Validation"}
    drawn = [
        f"  {names[role].ljust(indent - 2)}{terminal.paint(line, _ROLES[role])} {ends[role]}"
        for role, line in lines
    ]
    return [*drawn, *draw_marks(figure, width, blocks, indent=indent, room=terminal.width), ""]


def _details(terminal: Terminal, diagnosis: Diagnosis) -> list[str]:
    lines = ["", terminal.paint("Findings", "1")]
    for finding in diagnosis.findings:
        lines += _finding(terminal, finding, diagnosis.run)
    if not diagnosis.findings:
        lines.append("  none")
    if diagnosis.passed:
        lines += ["", terminal.paint("Passed", "1")]
        lines += terminal.wrap(", ".join(clean(code) for code in diagnosis.passed), "  ")
    if diagnosis.skipped:
        lines += ["", terminal.paint("Could not be judged", "1")]
        for reason, codes in group_skips(diagnosis.skipped):
            lines += terminal.wrap(f"{', '.join(codes)}: {reason}", "  ", "    ")
    if diagnosis.checkpoint is not None:
        lines += ["", terminal.paint("Why this checkpoint", "1")]
        lines += terminal.wrap(clean(diagnosis.checkpoint.reason, TEXT_LENGTH), "  ")
    return lines + _notes(terminal, diagnosis)


def _finding(terminal: Terminal, finding: Finding, run: Run) -> list[str]:
    sign = SEVERITIES[finding.severity]
    mark = sign.mark if terminal.unicode else sign.plain
    head = f"{mark} {clean(finding.code)} {clean(finding.name)} ({sign.title.lower()})"
    tone = _TONES[sign.tone]
    lines = [f"  {terminal.paint(line[2:], tone)}" for line in terminal.wrap(head, "  ")]
    lines += terminal.wrap(clean(finding.message, TEXT_LENGTH), "    ")
    for item in finding.evidence:
        lines += terminal.wrap(describe_evidence(item, run), "    - ")
    for advice in finding.advice:
        lines += terminal.wrap(clean(advice, TEXT_LENGTH), "    > ")
    return lines


def _notes(terminal: Terminal, diagnosis: Diagnosis) -> list[str]:
    if not diagnosis.run.source.notes:
        return []
    lines = ["", terminal.paint("Notes from reading the log", "1")]
    for note in diagnosis.run.source.notes:
        lines += terminal.wrap(clean(note, TEXT_LENGTH), "  - ")
    return lines
