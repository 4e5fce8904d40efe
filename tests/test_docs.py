"""Every example of the README and the documentation is run, and shows what really comes out."""

from __future__ import annotations

import doctest
import importlib
import re
import runpy
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fitdiag
from fitdiag.configuration import load_config
from fitdiag.rules import RULES

if TYPE_CHECKING:
    from torch import nn
    from torch.utils.data import DataLoader

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GOLD: dict[str, Any] = runpy.run_path(str(ROOT / "tests" / "gold" / "update.py"))

PACKAGE = Path(fitdiag.__file__).parent
WITH_EXAMPLES = [
    path.relative_to(PACKAGE.parent).with_suffix("")
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>>" in path.read_text(encoding="utf-8")
]
MODULES = [".".join(path.parts).removesuffix(".__init__") for path in WITH_EXAMPLES]

#: exit codes that a command may have
CODES = {"check": {0, 1}}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def train(model: nn.Module, loader: DataLoader[Any], loss_fn: Any, optimizer: Any) -> None:
    """Train for an epoch, as any loop does."""
    model.train()
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss_fn(model(inputs), targets).backward()
        optimizer.step()


def evaluate(model: nn.Module, loader: DataLoader[Any], loss_fn: Any) -> None:
    """Evaluate once, as any loop does."""
    import torch

    model.eval()
    with torch.no_grad():
        for inputs, targets in loader:
            loss_fn(model(inputs), targets)


@pytest.fixture
def names() -> dict[str, Any]:
    """Return what the examples take for granted: a model, its data and an ordinary loop."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(1)
    torch.manual_seed(0)
    inputs = torch.randn(128, 4)
    data = TensorDataset(inputs, (inputs[:, 0] > 0).long())
    model, loss_fn = nn.Linear(4, 2), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return {
        "model": model,
        "loss_fn": loss_fn,
        "optimizer": optimizer,
        "train_loader": DataLoader(data, batch_size=32),
        "val_loader": DataLoader(data, batch_size=64),
        "train": lambda model, loader: train(model, loader, loss_fn, optimizer),
        "evaluate": lambda model, loader: evaluate(model, loader, loss_fn),
    }


@each_page
def test_python_examples_run(
    page: Path, names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Python examples of a page run from top to bottom, without a warning."""
    GOLD["prepare_folder"](tmp_path)
    monkeypatch.chdir(tmp_path)
    for number, code in enumerate(blocks(page, "python"), start=1):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(code, f"{page.name}, example {number}", "exec"), names)  # noqa: S102


@each_page
def test_commands_run(page: Path, tmp_path: Path) -> None:
    """The commands of a page that begin with fitdiag run without an error."""
    GOLD["prepare_folder"](tmp_path)
    for block in blocks(page, "bash"):
        for line in block.splitlines():
            if line.startswith("fitdiag "):
                code, output = GOLD["run_command"](line, tmp_path)
                assert code in CODES.get(line.split()[1], {0}), f"{line}\n{output}"
                assert "Traceback" not in output


@each_page
def test_shown_output_is_what_comes_out(page: Path, tmp_path: Path) -> None:
    """The output under a command is that of the command; tests/gold/update.py writes it anew."""
    GOLD["prepare_folder"](tmp_path)
    for command, output in GOLD["shown"](page.read_text(encoding="utf-8")):
        code, real = GOLD["run_command"](command, tmp_path)
        assert code in CODES.get(command.split()[1], {0}), real
        assert output == real, f"{command} prints now:\n{real}"


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    """A link of a page to another file leads to one that is there."""
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@each_page
def test_passages_are_those_that_are_made(page: Path) -> None:
    """What a page holds of the code is up to date, and no page shows a raw placeholder."""
    text = page.read_text(encoding="utf-8")
    assert GOLD["fill_passages"](text) == text, "run python tests/gold/update.py"
    assert "{{" not in text
    assert text.count("<!-- begin: ") == text.count("<!-- end -->")


def test_every_rule_and_public_name_stands_in_a_table() -> None:
    """The committed pages list every rule and every public name with one line about it."""
    rules = (ROOT / "docs" / "rules" / "index.md").read_text(encoding="utf-8")
    assert all(f"| {rule.code} | {rule.name} |" in rules for rule in RULES)
    names = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for name in set(fitdiag.__all__) - {"__version__"}:
        assert re.search(rf"^\| `{name}` \| \w.+\. \|$", names, flags=re.MULTILINE), name


def test_limits_are_shown_for_both_files(tmp_path: Path) -> None:
    """The two examples of a file with limits are the same, each with the headings of its file."""
    own, project = blocks(ROOT / "docs" / "verdicts.md", "toml")
    (tmp_path / "fitdiag.toml").write_text(own, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(project, encoding="utf-8")
    config = load_config(tmp_path / "fitdiag.toml")
    assert config == load_config(tmp_path / "pyproject.toml")
    assert config != fitdiag.Config()


def test_building_the_site_begins_with_installing() -> None:
    """The README and the page of the Python names say what has to come before `make docs`."""
    for page in (ROOT / "README.md", ROOT / "docs" / "api.md"):
        assert re.search(r"`make (install|docs)`.*`make (docs|install)`", page.read_text("utf-8"))


@pytest.mark.parametrize("module", MODULES)
def test_docstring_examples_run(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The examples in a module's docstrings give what they show."""
    monkeypatch.chdir(tmp_path)
    outcome = doctest.testmod(importlib.import_module(module))
    assert not outcome.failed


def test_readme_begins_with_the_two_commands() -> None:
    """The README names near its top one command for a report and one for the tests."""
    top = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:30])
    assert re.search(r"^python -m venv .* report sample_logs/\w+\.csv$", top, flags=re.MULTILINE)
    tests = r"^python -m venv .*-c constraints.txt.*pytest -n auto$"
    assert re.search(tests, top, flags=re.MULTILINE)
    log = re.search(r"report (sample_logs/\w+\.csv)$", top, flags=re.MULTILINE)
    assert log is not None
    assert (ROOT / log[1]).exists()


def test_readme_names_every_verdict() -> None:
    """The README explains each verdict."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{verdict.value}` |" in text for verdict in fitdiag.Verdict)


def test_changelog_has_its_headings() -> None:
    """The changelog keeps a place for what is new and for changed thresholds and verdicts."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## Unreleased" in text
    assert "### Thresholds and verdicts" in text
