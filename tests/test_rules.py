"""Every rule: its words, its limits, its code, and that it fires when it should."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import fitdiag
from fitdiag.errors import UsageError
from fitdiag.rules import RETIRED, RULES, Rule, find_rule
from fitdiag.rules.log import TooFewPoints

FAMILIES = ("FIT", "GRD", "LRN", "LOP", "LOG")
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)


def codes(run: fitdiag.Run) -> set[str]:
    """Return the codes that are found in a run."""
    return {finding.code for finding in fitdiag.diagnose(run).findings}


@each_rule
def test_rule_fires_on_its_example(rule: Rule) -> None:
    """A rule's firing example brings its code, severity and message about."""
    found = {finding.code: finding for finding in fitdiag.diagnose(rule.firing()).findings}
    assert rule.code in found
    assert found[rule.code].name == rule.name
    assert found[rule.code].message.endswith(".")


@each_rule
def test_rule_is_quiet_on_its_counterexample(rule: Rule) -> None:
    """A rule's quiet example does not bring its code about."""
    assert rule.code not in codes(rule.quiet())


@each_rule
def test_rule_tells_all(rule: Rule) -> None:
    """A rule says what it finds, why, how, what to do and on whose authority, in sentences."""
    for text in (rule.what, rule.why, rule.how, *rule.advice):
        assert text.strip() == text
        assert text.endswith((".", "?"))
    assert rule.advice
    assert rule.references
    assert all(reference.strip() for reference in rule.references)
    assert (rule.__doc__ or "").strip().endswith(".")


@each_rule
def test_rule_explains_its_limits(rule: Rule) -> None:
    """Every limit of a rule is named where the rule says how it finds."""
    explained = f"{rule.how} {rule.__doc__}"
    missing = [name for name in rule.limits() if name not in explained]
    assert not missing


@each_rule
def test_rule_evidence_can_be_drawn(rule: Rule) -> None:
    """The evidence of a finding names a curve of the run and a span within it."""
    run = rule.firing()
    first, last = run.span
    for finding in fitdiag.diagnose(run).findings:
        for part in finding.evidence:
            assert part.curve in run.curves
            assert first <= part.start <= part.end <= last


@each_rule
def test_rule_limits_travel_with_the_result(rule: Rule) -> None:
    """The limits that a diagnosis used stand in it."""
    limits = fitdiag.diagnose(rule.quiet()).to_dict()["limits"]
    assert limits.get(rule.code, {}) == rule.limits()


def test_codes_are_unique_and_never_reused() -> None:
    """No two rules share a code or a name, and no retired code is in use."""
    assert len({rule.code for rule in RULES}) == len(RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert not {rule.code for rule in RULES} & set(RETIRED)


def test_codes_are_sorted_by_family_and_number() -> None:
    """The registry reads in the order of families, and of numbers within each."""
    for rule in RULES:
        assert re.fullmatch(rf"({'|'.join(FAMILIES)})\d{{3}}", rule.code)
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    order = [(FAMILIES.index(rule.code[:3]), rule.code) for rule in RULES]
    assert order == sorted(order)


def test_every_rule_is_registered() -> None:
    """Every rule class is in the tuple exactly once."""
    classes = [type(rule) for rule in RULES]
    assert sorted(one.__name__ for one in Rule.__subclasses__()) == sorted(
        one.__name__ for one in classes
    )


def test_rules_are_found_by_code_and_name() -> None:
    """A rule is found by code or name in any case, and a wrong one lists the codes."""
    assert find_rule("fit002").name == "overfitting"
    assert find_rule("gradient_explosion").code == "GRD001"
    with pytest.raises(UsageError, match="FIT001"):
        find_rule("FIT999")


def test_a_limit_is_taken_from_the_config() -> None:
    """A rule with another limit judges by it, and the limit stands in the result."""
    rule = TooFewPoints(min_points=8)
    run = fitdiag.Run.from_arrays(train_loss=[3, 2, 1.5, 1.2], val_loss=[3, 2.1, 1.6, 1.3])
    strict = fitdiag.Config(rules=(rule,))
    lax = fitdiag.Config(rules=(replace(rule, min_points=2),))
    assert [finding.code for finding in fitdiag.diagnose(run, strict).findings] == ["LOG002"]
    assert not fitdiag.diagnose(run, lax).findings
    assert fitdiag.diagnose(run, lax).limits["LOG002"] == {"min_points": 2.0}
