"""A colour scale for numbers, and pictures of coloured cells without a drawing library.

The scale runs from dark blue to pale yellow in even steps of the lightness of Oklab
(Ottosson 2020, https://bottosson.github.io/posts/oklab/): equal differences look equally large,
also in grey and to people with any kind of colour vision.
"""

from __future__ import annotations

import base64
import struct
import zlib
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Cells = NDArray[np.uint8]

__all__ = ["BROKEN", "LEVELS", "MISSING", "ZERO", "link_png", "list_colours"]

#: shades of the scale, which are the first colours of the palette; after them three more
LEVELS = 250
ZERO, BROKEN, MISSING = 250, 251, 252

#: lightness and the two colour coordinates of Oklab at both ends of the scale
_DARK, _PALE = (0.30, -0.02, -0.13), (0.95, -0.04, 0.13)
_EXTRA = ((0, 0, 0), (213, 60, 94), (128, 128, 128))
_TO_CONES = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
_TO_LIGHT = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@cache
def list_colours() -> tuple[tuple[int, int, int], ...]:
    """Return the palette: red, green and blue, each from 0 to 255, of every kind of cell."""
    share = np.linspace(0.0, 1.0, LEVELS)[:, None]
    places = np.array(_DARK) + share * (np.array(_PALE) - np.array(_DARK))
    light = np.clip((places @ _TO_CONES.T) ** 3 @ _TO_LIGHT.T, 0.0, 1.0)
    curved = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    shades = np.rint(255 * curved).astype(int).tolist()
    return (*((red, green, blue) for red, green, blue in shades), *_EXTRA)


def link_png(cells: Cells) -> str:
    """Return a picture with one dot a cell, as a link that holds all of it.

    Parameters
    ----------
    cells : ndarray of uint8, shape (rows, columns)
        Places in the palette; :data:`MISSING` is transparent.
    """
    rows, columns = cells.shape
    colours = list_colours()
    opacity = bytes([255] * MISSING + [0])
    lines = np.zeros((rows, columns + 1), dtype=np.uint8)  # each line begins with its filter
    lines[:, 1:] = cells
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(part for colour in colours for part in colour)),
        (b"tRNS", opacity),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return "data:image/png;base64," + base64.b64encode(data).decode()
