"""fitdiag beside its peers: published rules, and the tools that install from PyPI, in one run.

    python benchmarks/accuracy/peers.py [--corpus FOLDER] [--split tune|test] [--tools NAME ...]
                                        [--cache FOLDER] [--markdown FILE]

Every tool gets a virtual environment of its own under ``--cache``, which is kept between calls,
with the answers to logs that were asked about before. ``peer_tools`` holds an adapter for each,
which says how the tool is driven and how its words are read. ``--tools`` without a name asks none.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from peer_rules import GRADIENT_PEERS, PARTIAL, PEERS
from peer_tools.catalogue import ADAPTERS
from peer_tools.environment import CannotAskError, consult, version
from peer_tools.scores import FINE, Judge, accepted_share, caught, f1, macro, merged
from peer_tools.tables import Table, figure
from peer_tools.tool import HEALTHY
from sets import Labelled, deepobs, overfitguard, zoo

from fitdiag import Verdict, diagnose

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

CLASSES = [str(verdict) for verdict in Verdict if verdict is not Verdict.INCONCLUSIVE]
MERGED = ["no_learning", "overfitting", HEALTHY, "diverged"]
ALARMS = {
    "GRD001": "explosion",
    "GRD002": "vanishing",
    "GRD003": "explosion",
    "GRD005": "explosion",
}
"""fitdiag's findings on gradients; spikes and non-finite norms count, as they do for the tools"""
LOST = {"no_learning", "diverged"}
NO_GAP = "SageMaker Debugger's rules"
"""a rule whose all-clear does not tell the gap apart"""


def own(runs: Sequence[Labelled]) -> Judge:
    """Ask fitdiag."""
    results = [diagnose(item.run) for item in runs]
    return Judge(
        name="fitdiag",
        speaks=frozenset(CLASSES),
        verdicts=[str(result.verdict) for result in results],
        alarms=[
            frozenset(ALARMS[f.code] for f in result.findings if f.code in ALARMS)
            for result in results
        ],
        kinds=frozenset(ALARMS.values()),
    )


def rules(runs: Sequence[Labelled]) -> list[Judge]:
    """Ask the published rules."""
    whole = []
    for name, rule in PEERS.items():
        words = [rule(item.run) for item in runs]
        if name == NO_GAP:
            words = [merged(word) for word in words]
        speaks = frozenset(CLASSES) if name != NO_GAP else frozenset(MERGED)
        whole.append(Judge(name=name, speaks=speaks, verdicts=words))
    partial = [
        Judge(
            name=name,
            speaks=frozenset({"no_learning"}),
            verdicts=[rule(item.run) for item in runs],
        )
        for name, rule in PARTIAL.items()
    ]
    gradients = [
        Judge(
            name=name,
            alarms=[rule(item.run) for item in runs],
            kinds=frozenset({"vanishing" if "Vanishing" in name else "explosion"}),
        )
        for name, rule in GRADIENT_PEERS.items()
    ]
    return whole + partial + gradients


def tool(adapter: ModuleType, runs: Sequence[Labelled], cache: Path) -> Judge:
    """Ask a tool from PyPI."""
    what = adapter.TOOL
    try:
        words = consult(adapter, [item.run for item in runs], cache)
    except CannotAskError as problem:
        return Judge(name=what.name, trouble=str(problem))
    return Judge(
        name=what.name,
        speaks=what.judges,
        verdicts=[what.verdict(said) for said in words],
        alarms=[what.alarm(said) for said in words],
        kinds=frozenset(what.alarms.values()),
    )


def verdict_table(runs: Sequence[Labelled], judges: Sequence[Judge], title: str) -> Table:
    clear = [k for k, item in enumerate(runs) if item.truth]
    truth = [runs[k].truth for k in clear]
    rows = []
    for judge in judges:
        if not judge.speaks:
            continue
        said = [judge.verdicts[k] for k in clear]
        four, five = [merged(word) for word in said], [merged(word) for word in truth]
        speaks = {merged(word) for word in judge.speaks}
        known = [word for word in MERGED if word in speaks]
        cells = [figure(f1(four, five, word)) if word in speaks else "-" for word in MERGED]
        mean = figure(macro(four, five, known)) if len(known) > 1 else "-"
        mark = f" of {len(known)}" if 1 < len(known) < len(MERGED) else ""
        whole = set(CLASSES) <= judge.speaks
        gap = [figure(f1(said, truth, word)) if whole else "-" for word in FINE]
        share = accepted_share(judge.verdicts, runs) if len(known) > 1 else float("nan")
        all_five = figure(macro(said, truth, CLASSES)) if whole else "-"
        rows.append([judge.name, figure(share), mean + mark, *cells, *gap, all_five])
    return Table(
        title=f"{title}: verdicts",
        note=f"{len(runs)} runs, {len(clear)} with one right verdict. Accepted: share of all runs; "
        "the rest: F1 over those with one right verdict. Most judges do not tell ideal from "
        "a controlled gap, so both are healthy in the macro-F1 of four classes; a dash where a "
        'judge has no word for a class, "of 3" where the mean is over its three.',
        header=["", "accepted", "macro-F1 (4)", *MERGED, *FINE, "macro-F1 (5)"],
        rows=rows,
    )


def catch_table(runs: Sequence[Labelled], judges: Sequence[Judge], title: str) -> Table:
    clear = [k for k, item in enumerate(runs) if item.truth]
    rows = []
    for judge in judges:
        cells: list[str] = []
        for word in ("overfitting", "no_learning", "diverged"):
            flags = [judge.verdicts[k] == word for k in clear] if word in judge.speaks else []
            truth = [runs[k].truth == word for k in clear] if flags else []
            cells += caught(flags, truth)
        if judge.speaks:
            rows.append([judge.name, *cells])
    return Table(
        title=f"{title}: caught, and false alarms",
        note="Over the runs with one right verdict: how many of a class are called so, and how "
        "many of all others.",
        header=[
            "",
            *(
                f"{word}{what}"
                for word in ("overfitting", "no_learning", "diverged")
                for what in ("", ", false")
            ),
        ],
        rows=rows,
    )


def gradient_table(runs: Sequence[Labelled], judges: Sequence[Judge], title: str) -> Table:
    rows = []
    groups = {"explosion": "explosion", "overflow": "explosion", "vanishing": "vanishing"}
    for judge in judges:
        if not judge.kinds:
            continue
        cells = []
        for truth, kind in groups.items():
            fired = [
                kind in alarms
                for alarms, item in zip(judge.alarms, runs, strict=True)
                if item.gradient == truth
            ]
            cells.append(caught(fired, [True] * len(fired))[0] if kind in judge.kinds else "-")
        calm = [k for k, item in enumerate(runs) if item.gradient == "none"]
        false = caught([bool(judge.alarms[k]) for k in calm], [True] * len(calm))[0]
        rows.append([judge.name, *cells, false])
    return Table(
        title=f"{title}: gradient alarms",
        note="Runs with a real explosion, overflow or vanishing that are called so by kind (for "
        "an overflow a non-finite norm or an explosion), and runs with none that any alarm "
        "is raised on. Spikes of the norm count as alarms for every judge.",
        header=["", *groups, "none, false"],
        rows=rows,
    )


def two_sided(
    runs: Sequence[Labelled], judges: Sequence[Judge], wanted: set[str], title: str
) -> Table:
    """Score one question, asked of the runs whose truth is known."""
    yes, no = wanted | {"collapsed"}, {"rest", "learned"}
    known = [k for k, item in enumerate(runs) if item.truth in yes | no]
    positive = [runs[k].truth in yes for k in known]
    rows = []
    for judge in judges:
        if not judge.speaks & wanted:
            continue
        flags = [judge.verdicts[k] in wanted for k in known]
        both = [str(flag) for flag in flags], [str(truth) for truth in positive]
        rows.append([judge.name, *caught(flags, positive), figure(macro(*both, ["True", "False"]))])
    return Table(
        title=title,
        note=f"{len(known)} runs, {sum(positive)} of them so; what counts as having said so: "
        f"{', '.join(sorted(wanted))}.",
        header=["", "caught", "false alarms", "macro-F1"],
        rows=rows,
    )


def tool_table(adapters: Sequence[ModuleType], judges: Sequence[Judge], cache: Path) -> Table:
    trouble = {judge.name: judge.trouble for judge in judges if judge.trouble}
    rows = []
    for adapter in adapters:
        what = adapter.TOOL
        if what.name in trouble:
            rows.append([what.name, "-", "could not be asked", trouble[what.name]])
        else:
            rows.append([what.name, version(what, cache), what.driven, what.limits])
    return Table(
        title="The tools",
        note="Each in an environment of its own, with its defaults unless it says otherwise.",
        header=["", "version", "driven by", "what it cannot do"],
        rows=rows,
    )


def compare(options: argparse.Namespace) -> list[Table]:
    adapters = [a for a in ADAPTERS if options.tools is None or a.TOOL.name in options.tools]

    def panel(runs: Sequence[Labelled]) -> list[Judge]:
        return [own(runs), *rules(runs), *(tool(a, runs, options.cache) for a in adapters)]

    runs = zoo(options.split)
    judges = panel(runs)
    title = f"Zoo, {options.split} part"
    tables = [
        verdict_table(runs, judges, title),
        catch_table(runs, judges, title),
        gradient_table(runs, judges, title),
    ]
    if options.corpus:
        runs = overfitguard(options.corpus)
        tables.append(
            two_sided(runs, panel(runs), {"overfitting"}, "OverfitGuard, simulated: overfitting")
        )
        runs = deepobs(options.corpus)
        tables.append(two_sided(runs, panel(runs), LOST, "DeepOBS: no learning or diverged"))
    return [*tables, tool_table(adapters, judges, options.cache)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, help="folder with the public sets")
    parser.add_argument("--split", choices=("tune", "test"), default="tune")
    names = [adapter.TOOL.name for adapter in ADAPTERS]
    parser.add_argument("--tools", nargs="*", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "fitdiag-peers")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file as well")
    tables = compare(parser.parse_args())
    for table in tables:
        print(table.text())
    target = parser.parse_args().markdown
    if target:
        target.write_text("\n".join(table.markdown() for table in tables), encoding="utf-8")


if __name__ == "__main__":
    main()
