"""The tables of the comparison: verdicts, what was caught, gradient alarms, one question at a time.

A judge that could not be asked keeps its row, with a dash in every cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_accuracy import CLASSES, f1
from peer_tools.scores import FINE, MERGED, accepted_share, caught, macro, merged, share
from peer_tools.tables import Table, figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peer_tools.scores import Judge
    from sets import Labelled

__all__ = ["catch_table", "gradient_table", "two_sided", "verdict_table"]

ASKED = ("overfitting", "no_learning", "diverged")
GROUPS = {"explosion": "explosion", "overflow": "explosion", "vanishing": "vanishing"}
"""what truly happened to the gradients, and the alarm that is right then"""


def verdict_table(runs: Sequence[Labelled], judges: Sequence[Judge], title: str) -> Table:
    """Show the accepted share, and F1 of each class."""
    clear = [k for k, item in enumerate(runs) if item.truth]
    header = ["", "accepted", "macro-F1 (4)", *MERGED, *FINE, "macro-F1 (5)"]
    rows = []
    for judge in judges:
        if judge.speaks:
            said = [judge.verdicts[k] for k in clear]
            cells = _f1_cells(said, [runs[k].truth for k in clear], judge.speaks)
            right = accepted_share(judge.verdicts, runs) if len(judge.speaks) > 1 else float("nan")
            rows.append([judge.name, figure(right), *cells])
        elif judge.trouble:
            rows.append(_blank(judge, header))
    return Table(
        title=f"{title}: verdicts",
        note=f"{len(runs)} runs, {len(clear)} with one right verdict. Accepted: share of all runs; "
        "the rest: F1 over those with one right verdict. Most judges do not tell ideal from "
        "a controlled gap, so both are healthy in the macro-F1 of four classes; a dash where a "
        'judge has no word for a class, "of 3" where the mean is over its three.',
        header=header,
        rows=rows,
    )


def _f1_cells(said: list[str], truth: list[str], speaks: frozenset[str]) -> list[str]:
    four, right = [merged(word) for word in said], [merged(word) for word in truth]
    mine = {merged(word) for word in speaks}
    known = [word for word in MERGED if word in mine]
    cells = [figure(f1(four, right, word)) if word in mine else "-" for word in MERGED]
    mean = figure(macro(four, right, known)) if len(known) > 1 else "-"
    mark = f" of {len(known)}" if 1 < len(known) < len(MERGED) else ""
    if not set(CLASSES) <= speaks:
        return [mean + mark, *cells, *["-"] * len(FINE), "-"]
    gap = [figure(f1(said, truth, word)) for word in FINE]
    return [mean + mark, *cells, *gap, figure(macro(said, truth, CLASSES))]


def catch_table(runs: Sequence[Labelled], judges: Sequence[Judge], title: str) -> Table:
    """Show how many of a class are caught, and how many others are called so."""
    clear = [k for k, item in enumerate(runs) if item.truth]
    header = ["", *(f"{word}{what}" for word in ASKED for what in ("", ", false"))]
    rows = []
    for judge in judges:
        cells: list[str] = []
        for word in ASKED:
            flags = [judge.verdicts[k] == word for k in clear] if word in judge.speaks else []
            cells += caught(flags, [runs[k].truth == word for k in clear] if flags else [])
        if judge.speaks or judge.trouble:
            rows.append([judge.name, *cells])
    return Table(
        title=f"{title}: caught, and false alarms",
        note="Over the runs with one right verdict: how many of a class are called so, and how "
        "many of all others.",
        header=header,
        rows=rows,
    )


def gradient_table(runs: Sequence[Labelled], judges: Sequence[Judge], title: str) -> Table:
    """Show how many explosions, overflows and vanishing gradients are caught, and false alarms."""
    header = ["", *GROUPS, "none, false"]
    rows = []
    for judge in judges:
        if judge.kinds:
            pairs = list(zip(judge.alarms, (item.gradient for item in runs), strict=True))
            cells = [
                share([kind in alarms for alarms, truth in pairs if truth == group])
                if kind in judge.kinds
                else "-"
                for group, kind in GROUPS.items()
            ]
            false = share([bool(alarms) for alarms, truth in pairs if truth == "none"])
            rows.append([judge.name, *cells, false])
        elif judge.trouble:
            rows.append(_blank(judge, header))
    return Table(
        title=f"{title}: gradient alarms",
        note="Runs with a real explosion, overflow or vanishing that are called so by kind (for "
        "an overflow a non-finite norm or an explosion), and runs with none that any alarm "
        "is raised on. Spikes of the norm count as alarms for every judge.",
        header=header,
        rows=rows,
    )


def two_sided(
    runs: Sequence[Labelled], judges: Sequence[Judge], wanted: set[str], title: str
) -> Table:
    """Score one question, asked of the runs whose truth is known."""
    yes, no = wanted | {"collapsed"}, {"rest", "learned"}
    known = [k for k, item in enumerate(runs) if item.truth in yes | no]
    positive = [runs[k].truth in yes for k in known]
    header = ["", "caught", "false alarms", "macro-F1"]
    rows = []
    for judge in judges:
        if judge.speaks & wanted:
            flags = [judge.verdicts[k] in wanted for k in known]
            both = [str(flag) for flag in flags], [str(truth) for truth in positive]
            mean = figure(macro(*both, ["True", "False"]))
            rows.append([judge.name, *caught(flags, positive), mean])
        elif judge.trouble:
            rows.append(_blank(judge, header))
    return Table(
        title=title,
        note=f"{len(known)} runs, {sum(positive)} of them so; what counts as having said so: "
        f"{', '.join(sorted(wanted))}.",
        header=header,
        rows=rows,
    )


def _blank(judge: Judge, header: Sequence[str]) -> list[str]:
    return [judge.name, *["-"] * (len(header) - 1)]
