"""A virtual environment for each tool, and the tool's answers from inside it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
import venv
from pathlib import Path
from typing import TYPE_CHECKING

from peer_tools.tool import SILENT
from peer_tools.written import write_logs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from peer_tools.tool import Tool

    from fitdiag import Run

__all__ = ["CannotAskError", "consult", "version"]

HERE = Path(__file__).resolve().parent
PATIENCE = 3600
"""seconds that a tool may take for a whole set of runs"""


class CannotAskError(Exception):
    """The tool could not be installed, or broke down; the message says why in a line."""


def _python(tool: Tool, cache: Path) -> Path:
    """Make the tool's environment where it is missing, and return its interpreter."""
    home: Path = cache / tool.name
    python: Path = home / "bin" / "python"
    done = home / "installed.txt"
    wanted = "\n".join(tool.requirements)
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return python
    venv.create(home, with_pip=True, clear=True)
    for requirement in tool.requirements:
        _call([str(python), "-m", "pip", "install", "-q", requirement])
    done.write_text(wanted, encoding="utf-8")
    return python


def _call(command: list[str]) -> str:
    try:
        result = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            cwd=HERE.parent,
            timeout=PATIENCE,
        )
    except subprocess.CalledProcessError as problem:
        last = (problem.stderr or problem.stdout).strip().splitlines()[-1:]
        raise CannotAskError(" ".join(last) or f"exit status {problem.returncode}") from problem
    except subprocess.TimeoutExpired as problem:
        raise CannotAskError(f"no answer within {PATIENCE} s") from problem
    return result.stdout


def version(tool: Tool, cache: Path) -> str:
    """Tell which version of the tool was installed, for example ``0.22.0``."""
    name = tool.requirements[-1].split("=")[0]
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    return _call([str(_python(tool, cache)), "-c", code]).strip()


def consult(adapter: ModuleType, runs: Sequence[Run], cache: Path) -> list[list[str]]:
    """Ask a tool about all runs at once, in its own environment and process.

    Parameters
    ----------
    adapter : module
        The tool's adapter.
    runs : sequence of Run
        What to judge.
    cache : Path
        Holds the environments, and the answers to logs that were asked about before.

    Returns
    -------
    list of list of str
        The tool's own words about each run.

    Raises
    ------
    CannotAskError
        If the tool cannot be installed or gives no answer.
    """
    tool: Tool = adapter.TOOL
    python = _python(tool, cache)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = write_logs(runs, tool, folder)
        known = cache / "answers" / f"{tool.name}-{_digest(adapter, folder)}.jsonl"
        if not known.exists():
            lines = _call([str(python), "-m", f"peer_tools.{_module(adapter)}", str(folder)])
            known.parent.mkdir(parents=True, exist_ok=True)
            known.write_text(lines, encoding="utf-8")
    words: dict[str, list[str]] = {name: [SILENT] for name in names}
    for line in known.read_text(encoding="utf-8").splitlines():
        said = json.loads(line)
        words[said["run"]] = said["words"]
    return [words[name] for name in names]


def _module(adapter: ModuleType) -> str:
    return adapter.__name__.rsplit(".", 1)[-1]


def _digest(adapter: ModuleType, folder: Path) -> str:
    """Fingerprint of the adapter and the logs: the same again need not be asked again."""
    content = hashlib.sha256(Path(str(adapter.__file__)).read_bytes())
    for path in sorted(folder.iterdir()):
        content.update(path.read_bytes())
    return content.hexdigest()[:16]
