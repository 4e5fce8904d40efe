"""A fleet in the terminal: how many of each verdict, which runs are best, what went wrong."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fitdiag.findings import Verdict
from fitdiag.report.words import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fitdiag.fleet.finding import Tally
    from fitdiag.fleet.rows import Row

__all__ = ["rank", "summarise"]

#: reasons that are listed, at the most
MOST_ERRORS = 10

#: characters of a name and of a reason that are shown
NAME_LENGTH = 48
REASON_LENGTH = 300

_WORTHLESS = frozenset({Verdict.NO_LEARNING.value, Verdict.DIVERGED.value})

#: what rows are counted by that have no verdict
UNREADABLE = "unreadable"


def rank(rows: Iterable[Row]) -> list[Row]:
    """Return the runs with a validation loss, the lowest denoised loss at the pick first.

    Runs that never learned or broke are left out.
    """
    judged = [
        row
        for row in rows
        if row.pick_loss is not None and row.val_best is not None and row.verdict not in _WORTHLESS
    ]
    return sorted(judged, key=lambda row: (row.val_best or 0.0, row.path, row.run))


def summarise(rows: Sequence[Row], tally: Tally, *, top: int = 10) -> str:
    """Return what a scan found, as text.

    Parameters
    ----------
    rows : sequence of Row
        All of them.
    tally : Tally
        What was met.
    top : int
        How many of the best runs to list.
    """
    blocks = [_count_verdicts(rows), _list_best(rows, top), _list_errors(rows), _tell(rows, tally)]
    return "\n\n".join(block for block in blocks if block)


def _count_verdicts(rows: Sequence[Row]) -> str:
    counts = Counter(row.verdict or UNREADABLE for row in rows)
    known = [*(verdict.value for verdict in Verdict), UNREADABLE]
    broken = Counter(row.gradient for row in rows if row.gradient not in {"healthy", "unknown"})
    lines = [_line(name, counts[name], len(rows)) for name in known if counts[name]]
    lines += [_line(f"gradient {name}", count, len(rows)) for name, count in sorted(broken.items())]
    return "\n".join(lines)


def _line(name: str, count: int, total: int) -> str:
    return f"{name:<22}{count:>9,}  {100 * count / total:5.1f} %"


def _list_best(rows: Sequence[Row], top: int) -> str:
    best = rank(rows)[:top]
    if not best or top < 1:
        return ""
    cells = [("best validation loss", "keep", "verdict", "run")]
    for row in best:
        where = row.pick_epoch if row.pick_epoch is not None else row.pick_step
        unit = "epoch" if row.pick_epoch is not None else row.unit
        sure = "" if row.confidence is None else f" {row.confidence:.2f}"
        name = clean(row.name, NAME_LENGTH)
        cells.append((f"{row.val_best:.5g}", f"{unit} {where:,.6g}", f"{row.verdict}{sure}", name))
    widths = [max(len(line[at]) for line in cells) for at in range(3)]
    return "\n".join(
        "  ".join((*(line[at].ljust(widths[at]) for at in range(3)), line[3])) for line in cells
    )


def _list_errors(rows: Sequence[Row]) -> str:
    broken = sorted((row for row in rows if row.status == "error"), key=lambda row: row.path)
    lines = []
    for row in broken[:MOST_ERRORS]:
        reason = row.reason if row.path in row.reason else f"{row.path} {row.reason}"
        lines.append(f"unreadable: {clean(reason, REASON_LENGTH)}")
    if len(broken) > MOST_ERRORS:
        lines.append(f"… and {len(broken) - MOST_ERRORS:,} more; the table of -o has them all.")
    return "\n".join(lines)


def _tell(rows: Sequence[Row], tally: Tally) -> str:
    runs = sum(row.status != "error" for row in rows)
    parts = [f"{_say(runs, 'run')} in {_say(tally.folders, 'folder')}"]
    if tally.unchanged:
        parts.append(f"not changed since an earlier scan: {_say(tally.unchanged, 'log')}")
    if tally.others:
        parts.append(f"not taken for logs: {_say(tally.others, 'file')}")
    if tally.skipped:
        parts.append(f"older than --since: {_say(tally.skipped, 'log')}")
    if tally.loops:
        parts.append(f"back to a folder that was seen already: {_say(tally.loops, 'link')}")
    noted = sum(bool(row.note) for row in rows)
    if noted:
        parts.append(f"written to while read: {_say(noted, 'log')}")
    return f"{'; '.join(parts)}."


def _say(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
