"""Whether groups of runs differ by more than chance: exact where they are small.

All formulas are short and exact enough to be written here; scipy would add a dependency, and a
second to every start, for four of its functions, which the tests compare with.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = [
    "adjust",
    "chi_squared_tail",
    "cliff_delta",
    "compare_ranks",
    "compare_rates",
    "compare_within",
    "difference_interval",
    "fisher_exact",
    "median_interval",
    "rank",
    "wilson_interval",
]

#: standard normal quantile of an interval that holds the truth 95 times in 100
Z95 = 1.959963984540054

#: below this many expected runs in a cell the chi-squared approximation is not used
EXPECTED = 10.0
#: below this many runs in a group, and up to so many in all, ranks are permuted
SMALL_GROUP, SMALL_FLEET = 12, 500
#: permutations drawn at once and at the most, and how many as extreme as the observed end them
BATCH, MOST, ENOUGH = 500, 20_000, 100
#: the permutations are the same every time
SEED = 20_240_229


def chi_squared_tail(value: float, freedom: int) -> float:
    """Return how often a chi-squared number with so many degrees of freedom is at least this.

    The closed forms of the incomplete gamma function at whole and half numbers: Abramowitz and
    Stegun (1964), 26.4.4 and 26.4.5.
    """
    half = value / 2.0
    if half <= 0.0:
        return 1.0
    odd = freedom % 2
    tail = math.erfc(math.sqrt(half)) if odd else 0.0
    term = math.exp(-half) * (math.sqrt(half) / math.gamma(1.5) if odd else 1.0)
    for step in range(freedom // 2):
        tail += term
        term *= half / (step + 1 + odd / 2)
    return min(tail, 1.0)


def fisher_exact(hits: Sequence[int], sizes: Sequence[int]) -> float:
    """Return the two-sided p-value of Fisher's exact test for two groups.

    Parameters
    ----------
    hits, sizes : sequence of int, shape (2,)
        How many of how many.

    Notes
    -----
    All tables with the same margins that are no likelier than this one. R. A. Fisher (1922),
    doi:10.2307/2340521.
    """
    total, hit = sum(sizes), sum(hits)
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])
    first = np.arange(max(0, hit - sizes[1]), min(hit, sizes[0]) + 1)
    likelihood = -(
        logs[first] + logs[sizes[0] - first] + logs[hit - first] + logs[sizes[1] - hit + first]
    )
    weights = np.exp(likelihood - likelihood.max())
    own = weights[hits[0] - first[0]]
    return float(min(weights[weights <= own * (1 + 1e-7)].sum() / weights.sum(), 1.0))


def compare_rates(hits: Sequence[int], sizes: Sequence[int]) -> float:
    """Return how often rates would differ this much by chance.

    Parameters
    ----------
    hits, sizes : sequence of int, shape (groups,)
        How many of how many in each group.

    Notes
    -----
    Pearson's chi-squared where all expected counts are large; else Fisher's exact test for two
    groups, and permutations of the same statistic for more.
    """
    counts, totals = np.asarray(hits, float), np.asarray(sizes, float)
    share = counts.sum() / totals.sum()
    if not 0.0 < share < 1.0:
        return 1.0
    observed = float(_spread(counts, totals, share))
    if totals.min() * min(share, 1.0 - share) >= EXPECTED:
        return chi_squared_tail(observed, len(sizes) - 1)
    if len(sizes) == 2:
        return fisher_exact(hits, sizes)
    rng = np.random.default_rng(SEED)

    def draw() -> int:
        drawn = rng.multivariate_hypergeometric(list(sizes), int(counts.sum()), size=BATCH)
        return int(np.sum(_spread(drawn, totals, share) >= observed * (1 - 1e-9)))

    return _permute(draw)


def _permute(draw: Callable[[], int]) -> float:
    """Return a p-value from permutations, which end early where chance is plainly enough.

    J. Besag and P. Clifford (1991), doi:10.1093/biomet/78.2.301.

    Parameters
    ----------
    draw : callable
        Draws a batch, and returns how many were at least as extreme as what was observed.
    """
    seen = done = 0
    while done < MOST and seen < ENOUGH:
        seen += draw()
        done += BATCH
    return (seen + 1) / (done + 1)


def _spread(counts: Floats | Ints, totals: Floats, share: float) -> Floats:
    """Return Pearson's statistic of one table, or of many."""
    squares = (counts - totals * share) ** 2 / totals
    return np.asarray(squares.sum(axis=-1) / (share * (1 - share)))


def rank(values: Floats) -> Floats:
    """Return ranks from 1; equal values share their middle rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = (last - (counts - 1) / 2.0)[inverse]
    return ranks


def compare_ranks(groups: Sequence[Floats]) -> float:
    """Return how often groups would differ this much in their ranks by chance.

    Parameters
    ----------
    groups : sequence of ndarray of float, each of shape (n_i,)
        The values of each group.

    Notes
    -----
    The statistic of Kruskal and Wallis (1952), doi:10.1080/01621459.1952.10483441, corrected for
    ties; its chi-squared approximation, or permutations where a group is small.
    """
    sizes = np.array([group.size for group in groups])
    ranks = rank(np.concatenate(groups))
    spread = ranks.var(ddof=1)
    if spread == 0.0:
        return 1.0
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    middle = (ranks.size + 1) / 2.0

    def statistic(ordered: Floats) -> Floats:
        sums = np.add.reduceat(ordered, starts, axis=-1)
        found: Floats = ((sums - sizes * middle) ** 2 / sizes).sum(axis=-1) / spread
        return found

    observed = float(statistic(ranks))
    if sizes.min() >= SMALL_GROUP or ranks.size > SMALL_FLEET:
        return chi_squared_tail(observed, len(groups) - 1)
    rng = np.random.default_rng(SEED)
    tiled = np.broadcast_to(ranks, (BATCH, ranks.size))
    return _permute(
        lambda: int((statistic(rng.permuted(tiled, axis=1)) >= observed * (1 - 1e-9)).sum())
    )


def compare_within(codes: Ints, values: Floats, strata: Ints) -> float:
    """Return how often groups would differ this much by chance among runs that are alike otherwise.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        The group of each run, from 0.
    values : ndarray of float, shape (n,)
        What came of it; 0 and 1, or ranks.
    strata : ndarray of int, shape (n,)
        Which runs are alike: only those are compared with each other.

    Notes
    -----
    The general association statistic of Mantel and Haenszel as Landis, Heyman and Koch (1978),
    doi:10.2307/1402373, extend it to several groups and to scores.
    """
    count = int(codes.max()) + 1
    total, spread = np.zeros(count), np.zeros((count, count))
    for stratum in np.unique(strata):
        inside = strata == stratum
        size = int(inside.sum())
        if size < 2:
            continue
        own, scores = codes[inside], values[inside] - values[inside].mean()
        shares = np.bincount(own, minlength=count) / size
        total += np.bincount(own, weights=scores, minlength=count)
        square = float(scores @ scores) * size / (size - 1)
        spread += square * (np.diag(shares) - np.outer(shares, shares))
    freedom = int(np.linalg.matrix_rank(spread, hermitian=True))
    if freedom == 0:
        return 1.0
    return chi_squared_tail(float(total @ np.linalg.pinv(spread) @ total), freedom)


def wilson_interval(hits: int, size: int) -> tuple[float, float]:
    """Return the 95 % interval of a rate: E. B. Wilson (1927), doi:10.2307/2276774."""
    share, square = hits / size, Z95 * Z95
    middle = (share + square / (2 * size)) / (1 + square / size)
    half = Z95 / (1 + square / size)
    half *= math.sqrt(share * (1 - share) / size + square / (4 * size * size))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def difference_interval(
    first: tuple[int, int], second: tuple[int, int]
) -> tuple[float, float, float]:
    """Return the difference of two rates and its 95 % interval.

    Method 10 of R. G. Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>
    3.0.CO;2-I, which joins the two Wilson intervals.
    """
    one, other = first[0] / first[1], second[0] / second[1]
    low1, high1 = wilson_interval(*first)
    low2, high2 = wilson_interval(*second)
    difference = one - other
    return (
        difference,
        difference - math.hypot(one - low1, high2 - other),
        difference + math.hypot(high1 - one, other - low2),
    )


def cliff_delta(first: Floats, second: Floats) -> float:
    """Return how much more often a value of the first is above one of the second than below.

    N. Cliff (1993), doi:10.1037/0033-2909.114.3.494; from -1 to 1.
    """
    ordered = np.sort(second)
    below = np.searchsorted(ordered, first, side="left").sum()
    above = (second.size - np.searchsorted(ordered, first, side="right")).sum()
    return float(below - above) / (first.size * second.size)


def median_interval(values: Floats) -> tuple[float, float, float]:
    """Return the median and an interval that holds the true one at least 95 times in 100.

    Between two of the ordered values, whatever the distribution: W. R. Thompson (1936),
    doi:10.1214/aoms/1177732502. The whole range where there are fewer than six.
    """
    ordered = np.sort(values)
    size = ordered.size
    if size > 1000:
        cut = math.floor(size / 2 - Z95 * math.sqrt(size) / 2) - 1
    else:
        tail, cut = 0.5**size, -1
        term = tail
        while tail <= 0.025:
            cut += 1
            term *= (size - cut) / (cut + 1)
            tail += term
    cut = max(cut, 0)
    return float(np.median(ordered)), float(ordered[cut]), float(ordered[size - 1 - cut])


def adjust(chances: Sequence[float]) -> list[float]:
    """Return p-values corrected for how many there are, in their order.

    A corrected value of at most 0.05 for all that are called found keeps the share of false ones
    among them at or below 5 % on average: Y. Benjamini and Y. Hochberg (1995),
    doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    count = len(chances)
    order = sorted(range(count), key=lambda at: chances[at], reverse=True)
    corrected = [1.0] * count
    least = 1.0
    for place, at in enumerate(order):
        least = min(least, chances[at] * count / (count - place))
        corrected[at] = least
    return corrected
