"""Rewrite what the tests compare with: ``python tests/gold/update.py``, then read the diff.

That is ledger.json, with verdict and codes of every sample log, and in the README and the
documentation the output under the ``$ fitdiag …`` lines and what stands between the
``<!-- begin: … -->`` marks.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import fitdiag
from fitdiag.source import is_sibling

ROOT = Path(__file__).resolve().parents[2]
LEDGER = Path(__file__).with_name("ledger.json")
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_CONSOLE = re.compile(r"^```console\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (fitdiag .*)\n((?:(?!\$ ).*\n)*)", flags=re.MULTILINE)


def judge_samples() -> dict[str, dict[str, Any]]:
    """Return verdict and codes of every sample log, by file name."""
    entries = {}
    for path in sorted((ROOT / "sample_logs").glob("*.csv")):
        if is_sibling(path.name):
            continue
        diagnosis = fitdiag.diagnose(path)
        entries[path.name] = {
            "verdict": diagnosis.verdict.value,
            "codes": sorted(finding.code for finding in diagnosis.findings),
        }
    return entries


def prepare_folder(folder: Path) -> None:
    """Put into a folder what the examples read: the sample logs, and a log of another tool."""
    shutil.copytree(ROOT / "sample_logs", folder / "sample_logs", ignore=_all_but_logs)
    rows = [f"{k},{2 * 0.9**k:.5f},{0.2 + 2 * 0.9**k:.5f}" for k in range(40)]
    (folder / "other.csv").write_text("\n".join(["k,my loss,dev loss", *rows]), encoding="utf-8")


def _all_but_logs(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".csv")]


def run_command(command: str, folder: Path) -> tuple[int, str]:
    """Run a command in a folder as the documentation shows it; return exit code and output."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {"PATH": path, "COLUMNS": "88", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout.rstrip() + "\n"


def shown(text: str) -> list[tuple[str, str]]:
    """Return the commands of a page whose output it shows, each with that output."""
    return [
        (match[1], match[2])
        for block in _CONSOLE.finditer(text)
        for match in _COMMAND.finditer(block[1])
    ]


def fill_passages(text: str) -> str:
    """Return a page with what is made from fitdiag itself made anew."""
    filled: str = runpy.run_path(str(ROOT / "docs" / "passages.py"))["fill_passages"](text)
    return filled


def update_page(page: Path, folder: Path) -> None:
    """Write anew the output that a page shows, and what is made from fitdiag itself."""

    def fill(match: re.Match[str]) -> str:
        return f"$ {match[1]}\n{run_command(match[1], folder)[1]}"

    def fill_block(block: re.Match[str]) -> str:
        return f"```console\n{_COMMAND.sub(fill, block[1])}```"

    text = page.read_text(encoding="utf-8")
    page.write_text(fill_passages(_CONSOLE.sub(fill_block, text)), encoding="utf-8")


def update() -> None:
    """Write the ledger and the pages."""
    entries = json.dumps(judge_samples(), indent=2, ensure_ascii=False)
    LEDGER.write_text(entries + "\n", encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        prepare_folder(Path(folder))
        for page in PAGES:
            update_page(page, Path(folder))


if __name__ == "__main__":
    update()
