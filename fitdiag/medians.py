"""Medians of short arrays without the overhead of numpy's, which is most of what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["median", "medians", "running_median"]


def median(values: Array) -> float:
    """Return the median of finite values, the same as :func:`numpy.median` does.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        Without any the median is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> median(np.array([3.0, 1.0, 2.0, 10.0]))
    2.5
    """
    half = values.size // 2
    if values.size % 2:
        return float(np.partition(values, half)[half])
    if not values.size:
        return float("nan")
    ordered = np.partition(values, (half - 1, half))
    return float((ordered[half - 1] + ordered[half]) / 2)


def medians(rows: Array) -> Array:
    """Return the median of each row.

    Parameters
    ----------
    rows : ndarray of float, shape (k, n)
        Finite values, at least one in each row.

    Returns
    -------
    ndarray of float, shape (k,)

    Examples
    --------
    >>> import numpy as np
    >>> medians(np.array([[1.0, 9.0, 2.0, 3.0], [4.0, 4.0, 4.0, 4.0]])).tolist()
    [2.5, 4.0]
    """
    half = rows.shape[1] // 2
    if rows.shape[1] % 2:
        middle: Array = np.partition(rows, half, axis=1)[:, half]
        return middle
    ordered = np.partition(rows, (half - 1, half), axis=1)
    between: Array = (ordered[:, half - 1] + ordered[:, half]) / 2
    return between


def running_median(values: Array, window: int) -> Array:
    """Return the median of every ``window`` neighbours.

    Parameters
    ----------
    values : ndarray of float, shape (..., n)
        Finite values, at least ``window`` of them in each row.
    window : int
        An odd number.

    Returns
    -------
    ndarray of float, shape (..., n - window + 1)

    Examples
    --------
    >>> import numpy as np
    >>> running_median(np.array([1.0, 9.0, 2.0, 3.0]), 3).tolist()
    [2.0, 3.0]
    """
    packed = np.ascontiguousarray(values)
    shape = (*packed.shape[:-1], packed.shape[-1] - window + 1, window)
    views: Array = np.ndarray(
        shape, packed.dtype, packed, strides=(*packed.strides, packed.itemsize)
    )
    middle: Array = np.partition(views, window // 2, axis=-1)[..., window // 2]
    return middle
