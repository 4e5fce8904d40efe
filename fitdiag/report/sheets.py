"""What pages are made from: templates, own style sheets and scripts, and the page's own policy."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["load_templates", "read_assets", "write_policy"]

_HERE = Path(__file__).parent


@cache
def load_templates() -> Environment:
    """Return the templates; whatever is put into one is escaped."""
    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def read_assets(*names: str) -> Markup:
    """Return own files as they are; they hold nothing of a log."""
    texts = [(_HERE / "assets" / name).read_text(encoding="utf-8") for name in names]
    return Markup("\n".join(texts))  # noqa: S704  # own style sheets and scripts


def write_policy(style: str, script: str) -> str:
    """Return a content security policy: nothing is fetched, and only these two are obeyed."""
    return (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
