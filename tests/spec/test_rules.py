"""The map of the papers' rules: every clause in it exists, and every action and property is in it."""

from __future__ import annotations

import pytest

from mtpo.spec.rules import RULES, carried, clauses_of, unknown, unmapped
from mtpo_core.cli.specs import find_specs

SPECS = find_specs(None)


def test_every_clause_that_a_rule_names_exists() -> None:
    assert unknown(SPECS) == ()


def test_every_action_and_property_is_for_some_rule() -> None:
    assert unmapped(SPECS) == (), "name them in spec/rules, under the rule that they carry"


def test_a_rule_is_carried_or_says_why_not() -> None:
    ids = [rule.id for rule in RULES]
    assert len(set(ids)) == len(ids)
    assert {id.partition(":")[0] for id in ids} == {spec.name for spec in SPECS}
    for rule in RULES:
        assert rule.carried_by or rule.lacks, rule.id
        assert rule.says.endswith(".") and rule.source, rule.id
        assert {id.partition(".")[0] for id in rule.carried_by} <= {rule.id.partition(":")[0]}, rule.id


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_each_clause_is_for_a_rule_if_only_that_of_its_action(spec) -> None:
    for id in clauses_of(spec):
        assert carried(id), id


def test_a_clause_of_its_own_is_told_from_its_action() -> None:
    assert [rule.id for rule in carried("mtpo.call.closed")] == ["mtpo:closure"]
    assert carried("mtpo.call.issued:=") == carried("mtpo.call")
    assert carried("mtpo.nothing") == ()


def test_what_a_spec_lacks_is_noticed() -> None:
    (spec,) = (one for one in SPECS if one.name == "fair")
    fewer = [spec.without(properties={id: p for id, p in spec.properties.items() if id != "fair.envelope"})]
    assert unknown(fewer + [one for one in SPECS if one is not spec]) == ("fair.envelope",)
