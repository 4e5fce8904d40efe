"""The texts of ``fitdiag explain``, ``fitdiag rules`` and ``fitdiag formats``."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

from fitdiag.cli.arguments import did_you_mean
from fitdiag.errors import UsageError
from fitdiag.findings import Verdict
from fitdiag.rules import RETIRED, RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fitdiag.rules import Rule

__all__ = ["VERDICTS", "explain_word", "formats_table", "rules_table"]

_WIDEST = 96

#: what each verdict means, and what to do about it
VERDICTS: dict[Verdict, tuple[str, str]] = {
    Verdict.NO_LEARNING: (
        "Neither the training nor the validation loss falls beyond its noise, or both end flat at "
        "what a model gets that gives every class the same probability.",
        "No checkpoint is worth keeping. Try to overfit one small batch first; when even that "
        "fails, look for a bug in data, labels, loss or optimizer.",
    ),
    Verdict.OVERFITTING: (
        "Training loss falls on while validation loss turns up, or validation never improved at "
        "all: the model learns what is particular to the training data.",
        "Keep the checkpoint that the report picks, not the last one. Then more data, "
        "augmentation, regularisation, or a smaller model.",
    ),
    Verdict.IDEAL: (
        "Both losses fall together, and validation ends close to training.",
        "Keep the picked checkpoint. When the finding `unfinished` stands beside it, train longer.",
    ),
    Verdict.CONTROLLED_GAP: (
        "Both losses follow the same trend, with validation higher by a stable amount. A gap by "
        "itself is not overfitting; what counts is whether validation follows.",
        "Nothing has to be done. More data or regularisation could narrow the gap.",
    ),
    Verdict.DIVERGED: (
        "The training loss ended as NaN or infinity, or lost most of what it had gained.",
        "Go back to a checkpoint before the break, then lower the learning rate, warm it up, or "
        "clip the gradient norm.",
    ),
    Verdict.INCONCLUSIVE: (
        "The log does not say enough: too few points, no validation loss, or changes within the "
        "noise. The reason always stands with it.",
        "Give what the reason names, most often a validation loss or more evaluations.",
    ),
}


def explain_word(word: str) -> str:
    """Return the text of a verdict, of a rule, or of both where they share a name.

    Raises
    ------
    UsageError
        If the word is neither; the message lists the choices.
    """
    wanted = word.strip().lower().replace("_", "-")
    texts = [_verdict_text(one) for one in Verdict if one.value.replace("_", "-") == wanted]
    texts += [_rule_text(rule) for rule in RULES if wanted in {rule.code.lower(), rule.name}]
    if texts:
        return f"\n\n{'-' * min(40, _width())}\n\n".join(texts)
    if wanted.upper() in RETIRED:
        return f"{wanted.upper()} is retired: fitdiag no longer reports it."
    choices = [name for rule in RULES for name in (rule.code.lower(), rule.name)]
    choices += [verdict.value.replace("_", "-") for verdict in Verdict]
    raise UsageError(
        f"there is nothing called {word!r}; `fitdiag rules` lists the codes and names, and the "
        f"verdicts are {', '.join(Verdict)}.{did_you_mean(wanted, choices)}"
    )


def rules_table() -> str:
    """Return every rule on a line of its own, as wide as the terminal."""
    rows = [(rule.code, rule.name, rule.severity.value, rule.what) for rule in RULES]
    return _table(("code", "name", "severity", "what it finds"), rows)


def formats_table() -> str:
    """Return every log format that is read on a line of its own."""
    from fitdiag.readers import READERS

    rows = [(reader.name, reader.example, reader.description) for reader in READERS]
    return _table(("format", "file", "what it is"), rows)


def _width() -> int:
    return max(50, min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out cells in columns; the last one is wrapped to what is left of the line."""
    rows = [heads, *rows]
    widths = [max(len(row[k]) for row in rows) for k in range(len(heads) - 1)]
    lines = []
    for row in rows:
        lead = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + "  "
        room = max(24, _width() - len(lead))
        first, *others = textwrap.wrap(row[-1], room) or [""]
        lines.append(lead + first)
        lines += [" " * len(lead) + other for other in others]
    return "\n".join(lines)


def _paragraph(text: str, indent: str = "") -> str:
    return textwrap.fill(text, _width(), initial_indent=indent, subsequent_indent=indent)


def _items(title: str, items: Iterable[str]) -> list[str]:
    """Return a titled list, or nothing where there is nothing to list."""
    filled = [
        textwrap.fill(item, _width(), initial_indent="  - ", subsequent_indent="    ")
        for item in items
    ]
    return ["", title, *filled] if filled else []


def _verdict_text(verdict: Verdict) -> str:
    means, do = VERDICTS[verdict]
    parts = [f"verdict {verdict}", "", _paragraph(means)]
    return "\n".join([*parts, "", "What to do", _paragraph(do, "  ")])


def _rule_text(rule: Rule) -> str:
    parts = [f"{rule.code} {rule.name} ({rule.severity})", "", _paragraph(rule.what)]
    parts += ["", "Why it matters", _paragraph(rule.why, "  ")]
    parts += ["", "How it is found", _paragraph(rule.how, "  ")]
    parts += _items("Limits", (f"{name} = {value:g}" for name, value in rule.limits().items()))
    parts += _items("What to do", rule.advice)
    parts += _items("References", rule.references)
    return "\n".join(parts)
