"""Limits from a file: found, applied, and every mistake in it named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from fitdiag import Run, diagnose
from fitdiag.configuration import find_config, load_config
from fitdiag.diagnosis import Config
from fitdiag.errors import UsageError
from fitdiag.rules import RULES

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_the_limits_are_built_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no file stands in any folder above, the built-in limits hold."""
    monkeypatch.chdir(tmp_path)
    assert load_config() == Config()


def test_the_nearest_file_is_found(tmp_path: Path) -> None:
    """The search goes up from a folder, and passes a pyproject.toml that does not speak of us."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    outer = write(tmp_path / "pyproject.toml", "[tool.fitdiag]\n")
    write(tmp_path / "a" / "pyproject.toml", "[tool.other]\n")
    assert find_config(inner) == outer
    own = write(inner / "fitdiag.toml", "")
    assert find_config(inner) == own


def test_limits_are_applied(tmp_path: Path) -> None:
    """A limit of the verdict, of the pick and of a rule each take effect, all else stays."""
    file = write(
        tmp_path / "fitdiag.toml",
        "[verdict]\nrise_share = 0.5\n[pick]\nown_share = 0\n[rules.GRD001]\nfactor = 20\n",
    )
    config = load_config(file)
    assert config.verdict.rise_share == 0.5
    assert config.pick.own_share == 0
    assert config.limits["GRD001"]["factor"] == 20
    assert config.verdict.gap_share == Config().verdict.gap_share


def test_a_limit_changes_the_verdict_and_travels(tmp_path: Path) -> None:
    """With a higher limit a rebound is no longer overfitting, and the result tells the limit."""
    fall = np.exp(-0.08 * np.arange(80))
    run = Run.from_arrays(
        train_loss=0.05 + 2 * fall, val_loss=0.5 + 1.8 * fall + 0.012 * np.arange(80)
    )
    file = write(tmp_path / "pyproject.toml", "[tool.fitdiag.verdict]\nrise_share = 0.9\n")
    assert diagnose(run).verdict == "overfitting"
    result = diagnose(run, load_config(file))
    assert result.verdict == "controlled_gap"
    assert result.to_dict()["limits"]["verdict"]["rise_share"] == 0.9


def test_rules_are_selected_and_ignored(tmp_path: Path) -> None:
    """Families and codes can be asked for, and left out."""
    file = write(tmp_path / "fitdiag.toml", 'select = ["GRD", "FIT001"]\nignore = ["GRD004"]\n')
    codes = {rule.code for rule in load_config(file).rules}
    wanted = {rule.code for rule in RULES if rule.code.startswith("GRD")} | {"FIT001"}
    assert codes == wanted - {"GRD004"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[verdikt]\n", "unknown key 'verdikt'; did you mean 'verdict'"),
        ("[verdict]\nrise_shar = 1\n", "unknown key 'rise_shar' in .verdict.; did you mean"),
        ("[verdict]\nxyz = 1\n", "the keys are min_points"),
        ("[rules.GRD999]\nfactor = 1\n", "unknown key 'GRD999' in .rules."),
        ("[rules.GRD001]\nfaktor = 1\n", "did you mean 'factor'"),
        ("[verdict]\nrise_share = 'high'\n", "must be a number, not 'high'"),
        ("[verdict]\nmin_points = 2.5\n", "must be a whole number, not 2.5"),
        ("verdict = 3\n", "'verdict' must be a table, not 3"),
        ("ignore = 'FIT'\n", "must be a list of codes or families"),
        ("ignore = ['ABC']\n", "the families are FIT, GRD, LRN, LOP, LOG"),
        ("= 3\n", "is not valid TOML"),
        ("[tool.fitdiag.verdict]\ngap_share = 0.05\n", r"write \[verdict\] for \[tool.fitdiag"),
        ("[verdict]\ngap_share = 0.0\n", "must be a number of at least 1e-06, not 0.0"),
        ("[verdict]\nend_share = nan\n", "must be a number of at least"),
        ("[verdict]\nmin_points = 0\n", "must be a number of at least 1, not 0"),
        ("[pick]\ntie_noise = -1\n", "must be a number of at least 0, not -1"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, said: str) -> None:
    """A mistake in the file is a sentence with the file, the key and the choices."""
    file = write(tmp_path / "fitdiag.toml", text)
    with pytest.raises(UsageError, match=said) as caught:
        load_config(file)
    assert str(file) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that was asked for and is not there is an error."""
    with pytest.raises(UsageError, match=r"cannot read .*nothing\.toml"):
        load_config(tmp_path / "nothing.toml")


@pytest.mark.parametrize("text", ["tool = 3\n", "[tool]\nfitdiag = 3\n"])
def test_a_table_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    """A pyproject.toml whose tables are numbers is refused with the table named."""
    file = write(tmp_path / "pyproject.toml", text)
    with pytest.raises(UsageError, match="must be a table, not 3"):
        load_config(file)


def test_a_broken_project_file_above_is_passed_over(tmp_path: Path) -> None:
    """A pyproject.toml that does not parse, somewhere above, is not our matter."""
    write(tmp_path / "pyproject.toml", "= 3\n")
    inner = tmp_path / "a"
    inner.mkdir()
    assert find_config(inner) is None


@pytest.mark.parametrize("room", ["verdict", "pick"])
def test_the_least_limits_judge_without_fault(tmp_path: Path, room: str) -> None:
    """Every limit at the least value that is taken still gives a diagnosis."""
    fall = np.exp(-0.08 * np.arange(80))
    run = Run.from_arrays(train_loss=0.3 + fall, val_loss=0.4 + fall, grad_norm=1 + fall)
    for name in Config().limits[room]:
        for least in ("0", "0.000001", "1"):
            file = write(tmp_path / "fitdiag.toml", f"[{room}]\n{name} = {least}\n")
            try:
                config = load_config(file)
            except UsageError:
                continue
            diagnose(run, config)
