"""The house rules that no linter checks: names, docstrings, sizes, errors, import budget."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fitdiag
from fitdiag import errors

if TYPE_CHECKING:
    from types import ModuleType

PACKAGE = Path(fitdiag.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted(Path(__file__).parent.rglob("test_*.py"))
LARGEST_MODULE = 400
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc"}
HEAVY = ("torch", "pandas", "scipy", "matplotlib", "numpy", "jinja2")


def modules() -> list[ModuleType]:
    """Import every module of the package."""
    names = [info.name for info in pkgutil.walk_packages(fitdiag.__path__, "fitdiag.")]
    return [importlib.import_module(name) for name in names if not name.endswith("__main__")]


def methods(thing: type) -> list[str]:
    """Return the names of a class's own public methods and properties."""
    kinds = (property, classmethod, staticmethod)
    return [
        key
        for key, part in vars(thing).items()
        if not key.startswith("_") and (inspect.isfunction(part) or isinstance(part, kinds))
    ]


def loaded(code: str, *names: str, cwd: Path | None = None) -> set[str]:
    """Run code in a fresh interpreter and return which of the modules it loaded."""
    run = (
        f"import sys\ntry:\n    exec({code!r})\nexcept SystemExit as end:\n"
        f"    assert not end.code, end\nprint('loaded', *(set(sys.modules) & set({names!r})))"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-c", run],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def command_line(*arguments: str) -> str:
    """Return code that runs the command line with arguments."""
    return f"from fitdiag.cli import main; main({list(arguments)!r})"


def test_public_names_are_sorted_and_complete() -> None:
    """Every public name is in a sorted ``__all__``, can be imported, and is what dir() lists."""
    assert fitdiag.__all__ == sorted(fitdiag.__all__)
    assert dir(fitdiag) == fitdiag.__all__
    for name in fitdiag.__all__:
        assert getattr(fitdiag, name) is not None
    homes = set(fitdiag._HOMES) | {"__version__"}
    assert homes == set(fitdiag.__all__)


def test_unknown_public_name_is_an_attribute_error() -> None:
    """A name that fitdiag does not have is refused by name."""
    with pytest.raises(AttributeError, match="diagnoze"):
        fitdiag.diagnoze  # noqa: B018  the access is what is tested


def test_every_module_lists_its_names() -> None:
    """Every module has a docstring, and what its ``__all__`` lists exists and is sorted."""
    for module in modules():
        assert module.__doc__, module.__name__
        names = getattr(module, "__all__", [])
        assert len(set(names)) == len(names), module.__name__
        for name in names:
            assert hasattr(module, name), f"{module.__name__}.{name}"


def test_everything_public_has_a_docstring() -> None:
    """Every public class, function, method and property says what it is."""
    silent = []
    for module in modules():
        for name in getattr(module, "__all__", []):
            thing = getattr(module, name)
            is_made = "<locals>" in getattr(thing, "__qualname__", "")  # as click makes options
            is_code = inspect.isclass(thing) or inspect.isfunction(thing)
            parts = {name: thing} if is_code and not is_made else {}
            if inspect.isclass(thing):
                parts |= {f"{name}.{key}": getattr(thing, key) for key in methods(thing)}
            silent += [
                f"{module.__name__}.{key}" for key in parts if not inspect.getdoc(parts[key])
            ]
    assert not silent


def test_error_tree_is_drawn_as_it_is() -> None:
    """The tree in the docstring of errors names every class, its depth and its exit code."""
    drawn = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ([│├└─ ]*)(\w+Error)\b.*?(?:exit code (\d))?$", line)
        if match:
            drawn[match[2]] = (len(match[1]) // 4, match[3])
    classes = {name: getattr(errors, name) for name in errors.__all__}
    assert set(drawn) == set(classes)
    for name, (depth, code) in drawn.items():
        ancestors = [one for one in classes[name].__mro__[1:] if one in classes.values()]
        assert len(ancestors) == depth, name
        assert code is None or int(code) == classes[name].exit_code, name


def test_modules_are_small_rooms() -> None:
    """No module is over 400 lines, none is a drawer, and none imports by relative path."""
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= LARGEST_MODULE, path.name
        assert path.stem not in DRAWERS
        assert not re.search(r"^\s*from \.", text, flags=re.MULTILINE), path.name


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_every_test_says_what_it_holds(path: Path) -> None:
    """Every test function has a docstring of one sentence."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            text = ast.get_docstring(node)
            assert text, f"{node.name} has no docstring"
            assert text.rstrip().endswith("."), f"{node.name}: {text}"
            assert "\n\n" not in text, f"{node.name}: more than one paragraph"


def test_importing_costs_nothing() -> None:
    """``import fitdiag`` loads no heavy package."""
    assert not loaded("import fitdiag", *HEAVY)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["report", "--help"], []])
def test_help_costs_nothing(arguments: list[str]) -> None:
    """Help and version load no heavy package."""
    assert not loaded(command_line(*arguments), *HEAVY)


def test_text_report_loads_no_drawing_and_no_frames(overfitting_log: Path) -> None:
    """A text report of a small log loads neither pandas, matplotlib, jinja2, scipy nor torch."""
    code = command_line("report", str(overfitting_log), "--format", "text")
    assert loaded(code, *HEAVY) == {"numpy"}


def test_page_loads_no_matplotlib(overfitting_log: Path) -> None:
    """An HTML page alone loads neither matplotlib, pandas, scipy nor torch."""
    code = command_line("report", str(overfitting_log), "--format", "html", "-o", "page.html")
    heavy = loaded(code, *HEAVY, cwd=overfitting_log.parent)
    assert heavy <= {"numpy", "jinja2"}


def test_reading_loads_no_torch(overfitting_log: Path) -> None:
    """Diagnosing a log in Python never loads torch."""
    code = f"import fitdiag; fitdiag.diagnose({str(overfitting_log)!r})"
    assert not loaded(code, "torch", "scipy", "matplotlib")
