"""Which criteria were tried behind the verdict, and which won; the zoo's tune part alone.

    python benchmarks/accuracy/candidates.py [--corpus FOLDER] [--markdown FILE]

Every limit and every classifier is fitted by five-fold cross-validation over problems: it never
sees the problems that it is scored on. "±" is a standard error over resampled problems; "=" marks
a difference from fitdiag's own criterion within one. The z-limit of the criteria that have one, and
the order of fitdiag's questions, were chosen on the whole tune part. With ``--corpus``, overfitting
is also scored on OverfitGuard's simulated runs.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from bench_accuracy import CLASSES, fitdiag_word
from candidate_tools.classifiers import CLASSIFIERS, GRID, Rules, accepted, clear, predict
from candidate_tools.criteria import NO_LEARNING, OURS, OURS_FLAT, OVERFITTING, Case, cases
from candidate_tools.scoring import Outcome, fit_limit, flagged_by_fold, share_error, signed
from peer_rules import rebound
from peer_tools.tables import Table, figure
from sets import overfitguard, zoo

from fitdiag.verdict import VerdictConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from fitdiag import Run
    from fitdiag.verdict.features import Pair

    Array = NDArray[np.float64]

REST = "rest"
VIEWS = ("raw", "denoised")
AS_IT_IS = "fitdiag's decision as it is"
PUBLISHED = "one-line rule, limits as published"
FIXED: dict[str, tuple[str, Callable[[Run], str]]] = {
    PUBLISHED: ("raw", rebound),
    AS_IT_IS: ("denoised", fitdiag_word),
}
"""whole verdicts that nothing is fitted for here, with the curves that they look at"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """One class against the rest, over the runs to which the question is put."""

    word: str
    cases: Sequence[Case]
    criteria: Mapping[str, Callable[[Pair], float]]
    ours: str

    @property
    def truth(self) -> NDArray[np.bool_]:
        """Which runs are of the class."""
        return np.array([case.item.truth == self.word for case in self.cases])

    def scores(self, name: str, view: str) -> Array:
        """Return a criterion for every run."""
        found = [self.criteria[name](getattr(case, view)) for case in self.cases]
        return np.asarray(np.nan_to_num(np.clip(found, -1e12, 1e12)), dtype=float)

    def outcome(self, flags: Sequence[bool]) -> Outcome:
        """Stand flags beside the truth."""
        return Outcome(
            said=[self.word if flag else REST for flag in flags],
            truth=[self.word if flag else REST for flag in self.truth],
            problems=[case.item.problem for case in self.cases],
            words=[self.word, REST],
        )

    def validated(self, name: str, view: str) -> Outcome:
        """Flag by a criterion whose limit was fitted on other problems."""
        problems = [case.item.problem for case in self.cases]
        flags = flagged_by_fold(self.scores(name, view), self.truth, problems)
        return self.outcome(flags.tolist())

    def moved(self, name: str, view: str, elsewhere: Question) -> Outcome:
        """Flag by a criterion whose limit was fitted on another set."""
        limit = fit_limit(elsewhere.scores(name, view), elsewhere.truth)
        return self.outcome((self.scores(name, view) > limit).tolist())

    def judged(self, judge: Callable[[Run], str]) -> Outcome:
        """Flag where a whole verdict says so."""
        return self.outcome([judge(case.item.run) == self.word for case in self.cases])


def one_sided(title: str, note: str, question: Question, source: Question | None = None) -> Table:
    """Compare the criteria of one class; ``source`` is a set whose limits are tried here."""
    best = question.validated(question.ours, "denoised")
    rows = []
    for name in question.criteria:
        found = [question.validated(name, view) for view in VIEWS]
        cells = [cell for outcome in found for cell in _cells(outcome, best)]
        if source:
            cells += [figure(question.moved(name, view, source).macro()) for view in VIEWS]
        rows.append([name, *cells])
    for name, (seen, judge) in FIXED.items():
        cells = _cells(question.judged(judge), best)
        empty = ["-"] * len(cells)
        cells = [cell for view in VIEWS for cell in (cells if view == seen else empty)]
        rows.append([name, *cells, *["-"] * (2 * bool(source))])
    parts = ("F1", "macro-F1", "minus fitdiag's")
    header = [f"{view} {part}" for view in VIEWS for part in parts]
    header = ["criterion", *header, *([f"{v}, zoo's limit" for v in VIEWS] if source else [])]
    wanted = int(question.truth.sum())
    problems = len({case.item.problem for case in question.cases})
    count = f"{len(question.cases)} runs of {problems} problems, {wanted} of them {question.word}."
    return Table(title=title, note=f"{count} {note}", header=header, rows=rows)


def _cells(outcome: Outcome, best: Outcome) -> list[str]:
    macro = f"{outcome.macro():.3f} ± {outcome.error():.3f}"
    return [figure(outcome.f1(outcome.words[0])), macro, signed(outcome.above(best))]


def owners(question: Question) -> int:
    """Count the problems that have runs of the class."""
    pairs = zip(question.cases, question.truth, strict=True)
    return len({case.item.problem for case, wanted in pairs if wanted})


def healthy_or(word: str, found: Sequence[Case], *, without: set[str]) -> list[Case]:
    """Keep the runs that clearly are ``word``, and those that clearly are none of ``without``."""
    kept = []
    for case in found:
        accepted = case.item.accepted - {"inconclusive"}
        if case.item.truth == word or (accepted and not accepted & {word, *without}):
            kept.append(case)
    return kept


def whole(found: Sequence[Case]) -> list[Table]:
    """Compare fitdiag's whole verdict with trained classifiers, and show its refitted limits."""
    items = zoo("tune")
    rules = Rules(items, CLASSES)
    own = list(rules.say(VerdictConfig()))
    refitted, limits = rules.by_fold()
    answers = {AS_IT_IS: own, "fitdiag, limits refitted": refitted}
    answers[PUBLISHED] = [rebound(item.run) for item in items]
    for name in CLASSIFIERS:
        said, careful = predict(name, found, CLASSES)
        for label, words in ((name, said), (f"{name}, or inconclusive", careful)):
            answers[label] = [words.get(i.name, w) for i, w in zip(items, own, strict=True)]
    best = clear(items, own, CLASSES)
    rows = []
    for label, words in answers.items():
        outcome = clear(items, words, CLASSES)
        right = accepted(items, words)
        share = f"{np.mean(right):.3f} ± {share_error(right, [i.problem for i in items]):.3f}"
        macro = f"{outcome.macro():.3f} ± {outcome.error():.3f}"
        scores = [figure(outcome.f1(word)) for word in CLASSES]
        rows.append([label, share, macro, signed(outcome.above(best)), *scores])
    verdicts = Table(
        title="The whole verdict",
        note=f"{len(items)} runs, {len(best.truth)} of them with one truth (macro-F1 and F1 over "
        "those, accepted share over all). fitdiag's limits as they are were chosen on these runs; "
        "refitted ones and classifiers never saw the problem.",
        header=["", "accepted", "macro-F1", "minus fitdiag's", *CLASSES],
        rows=rows,
    )
    return [verdicts, _limits(limits)]


def _limits(limits: Sequence[VerdictConfig]) -> Table:
    configs = [VerdictConfig(), *limits]
    return Table(
        title="fitdiag's limits, refitted",
        note="Searched one after the other over a coarse grid, from round numbers.",
        header=["limit", "as it is", *(f"fold {k + 1}" for k in range(len(limits)))],
        rows=[[name, *(f"{getattr(config, name):g}" for config in configs)] for name in GRID],
    )


def tables(corpus: Path | None) -> list[Table]:
    """Measure everything."""
    found = cases(zoo("tune"))
    turned = Question(
        word="overfitting",
        cases=healthy_or("overfitting", found, without={"diverged", "no_learning"}),
        criteria=OVERFITTING,
        ours=OURS,
    )
    flat = Question(
        word="no_learning",
        cases=healthy_or("no_learning", found, without={"diverged"}),
        criteria=NO_LEARNING,
        ours=OURS_FLAT,
    )
    made = [one_sided("Overfitting on the zoo", "Neither diverged nor without learning.", turned)]
    if corpus:
        labelled = Question(
            word="overfitting", cases=cases(overfitguard(corpus)), criteria=OVERFITTING, ours=OURS
        )
        note = "Limits fitted here on other problems; in the last columns, on the zoo."
        note += f" Only {owners(labelled)} problems have overfit runs: the errors are rough."
        made.append(one_sided("Overfitting on OverfitGuard's", note, labelled, turned))
    made.append(one_sided("No learning on the zoo", "Not diverged.", flat))
    return [*made, *whole(found)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, help="folder with the public sets")
    parser.add_argument("--markdown", type=Path, help="write the tables there, too")
    options = parser.parse_args()
    made = tables(options.corpus)
    for table in made:
        print(table.text())
    if options.markdown:
        text = "\n".join(table.markdown() for table in made)
        options.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
