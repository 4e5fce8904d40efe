"""Draw how often verdicts are right against the confidence they were given with.

python benchmarks/accuracy/reliability.py docs/images/reliability.png
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.figure import Figure
from sets import zoo

from fitdiag import diagnose

EDGES = np.linspace(0.5, 1.0, 6)
#: Okabe and Ito's blue and vermilion, told apart in greyscale by their markers too
PARTS = (("tune", "#0072B2", "o", "-"), ("test", "#D55E00", "s", "--"))


def points(split: str) -> tuple[list[float], list[float], list[int]]:
    """Return said confidence, share of right verdicts and their number, for each bin."""
    results = [(diagnose(item.run), item.accepted) for item in zoo(split)]
    pairs = np.array(
        [(r.confidence, str(r.verdict) in ok) for r, ok in results if r.confidence is not None]
    )
    bins = np.clip(np.digitize(pairs[:, 0], EDGES) - 1, 0, EDGES.size - 2)
    used = [pairs[bins == k] for k in np.unique(bins)]
    return (
        [float(part[:, 0].mean()) for part in used],
        [float(part[:, 1].mean()) for part in used],
        [len(part) for part in used],
    )


def main() -> None:
    figure = Figure(figsize=(5, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0.45, 1], [0.45, 1], color="0.6", lw=1)
    axes.annotate("as said", (0.52, 0.52), xytext=(4, -12), textcoords="offset points", color="0.4")
    for split, colour, marker, line in PARTS:
        said, right, counts = points(split)
        axes.plot(said, right, color=colour, marker=marker, ls=line, label=f"zoo, {split} part")
        for x, y, count in zip(said, right, counts, strict=True):
            axes.annotate(
                str(count),
                (x, y),
                xytext=(5, -12 if split == "tune" else 6),
                textcoords="offset points",
                size=8,
                color=colour,
            )
    axes.set(xlabel="confidence said", ylabel="share of right verdicts", xlim=(0.45, 1.03))
    axes.set_ylim(0.4, 1.06)
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(sys.argv[1], dpi=150)
    print(f"wrote {sys.argv[1]}")


if __name__ == "__main__":
    main()
