"""What stands complete in a JSON text that stops in the middle, as a killed writer leaves it."""

from __future__ import annotations

import re

__all__ = ["close_text"]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)

_CLOSERS = {"[": "]", "{": "}"}

#: deeper nesting is no history
DEEPEST = 100


def close_text(text: str) -> str | None:
    """Cut a text behind its last complete value, and close what is open there.

    Parameters
    ----------
    text : str
        JSON without its end.

    Returns
    -------
    str or None
        None if nothing in it is complete, or it is no beginning of JSON.

    Examples
    --------
    >>> close_text('{"loss": [0.5, 0.4, 0.3')
    '{"loss": [0.5, 0.4]}'
    >>> close_text('{"lo') is None
    True
    """
    stack: list[str] = []
    end, closers = 0, ""
    for match in _TOKEN.finditer(text):
        mark = match[0]
        if mark in _CLOSERS:
            stack.append(_CLOSERS[mark])
            if len(stack) > DEEPEST:
                return None
        elif mark in {"]", "}"}:
            if not stack or stack.pop() != mark:
                return None
            end, closers = match.end(), "".join(reversed(stack))
        elif mark == "," and stack:
            end, closers = match.start(), "".join(reversed(stack))
    return text[:end] + closers if end and stack else None
