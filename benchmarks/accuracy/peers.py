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

from bench_accuracy import CLASSES
from peer_rules import GRADIENT_PEERS, PARTIAL, PEERS
from peer_tools.catalogue import ADAPTERS
from peer_tools.comparison import catch_table, gradient_table, two_sided, verdict_table
from peer_tools.environment import CannotAskError, consult, version
from peer_tools.scores import MERGED, Judge, merged
from peer_tools.tables import Table
from sets import Labelled, deepobs, overfitguard, zoo

from fitdiag import diagnose

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

ALARMS = {
    "GRD001": "explosion",
    "GRD002": "vanishing",
    "GRD006": "vanishing",
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


def tool_table(
    adapters: Sequence[ModuleType], panels: Sequence[Sequence[Judge]], cache: Path
) -> Table:
    trouble = {judge.name: judge.trouble for panel in panels for judge in panel if judge.trouble}
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
    panels: list[list[Judge]] = []

    def ask(runs: Sequence[Labelled]) -> tuple[Sequence[Labelled], list[Judge]]:
        panels.append([own(runs), *rules(runs), *(tool(a, runs, options.cache) for a in adapters)])
        return runs, panels[-1]

    title = f"Zoo, {options.split} part"
    asked = ask(zoo(options.split))
    tables = [make(*asked, title) for make in (verdict_table, catch_table, gradient_table)]
    if options.corpus:
        asked = ask(overfitguard(options.corpus))
        tables.append(two_sided(*asked, {"overfitting"}, "OverfitGuard, simulated: overfitting"))
        asked = ask(deepobs(options.corpus))
        tables.append(two_sided(*asked, LOST, "DeepOBS: no learning or diverged"))
    return [*tables, tool_table(adapters, panels, options.cache)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, help="folder with the public sets")
    parser.add_argument("--split", choices=("tune", "test"), default="tune")
    names = [adapter.TOOL.name for adapter in ADAPTERS]
    parser.add_argument("--tools", nargs="*", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "fitdiag-peers")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file as well")
    options = parser.parse_args()
    tables = compare(options)
    for table in tables:
        print(table.text())
    if options.markdown:
        text = "\n".join(table.markdown() for table in tables)
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
