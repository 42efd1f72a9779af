"""What is shown of an id, and of the installed sources as a whole."""

from __future__ import annotations

import re

import attrs
import pytest

from mtpo.proofs.evidence import NoSuchClause, evidence_of, explain, extent, standing
from mtpo.proofs.ledger import Entry, read_ledger
from mtpo.proofs.mutants.mutate import mutants
from mtpo.spec.mtpo import mtpo
from mtpo_core.cli.specs import find_specs

SPECS = find_specs(None)


@pytest.fixture(scope="module")
def ledger() -> list[Entry]:
    return read_ledger()


def test_every_id_of_the_specs_is_explained(ledger: list[Entry]) -> None:
    for spec in SPECS:
        clauses = [c.id for a in spec.actions.values() for c in a.guard]
        actions = [f"{spec.name}.{name}" for name in spec.actions]
        for id in (*spec.claims, *clauses, *actions):
            found = explain(id, SPECS, ledger)
            assert found.formula
            assert ".py:" in found.at
            assert found.kind == "guard clause" or found.english


def test_a_property_comes_with_its_evidence_and_what_it_catches(ledger: list[Entry]) -> None:
    found = explain("mtpo.one-way", SPECS, ledger)
    assert {e.method: e.status for e in found.evidence} == {"inductive": "PROVED", "exhaustive": "CHECKED"}
    assert all(e.fresh for e in found.evidence)
    assert any("cvc5" in e.sentence and "mtpo.pre-order" in e.sentence for e in found.evidence)
    assert "note'(p)" in found.formula


def test_the_goal_of_whole_runs_comes_with_its_evidence(ledger: list[Entry]) -> None:
    found = explain("mtpo.runs-end", SPECS, ledger)
    (shown,) = found.evidence
    assert (found.kind, shown.method, shown.status, shown.fresh) == ("goal of whole runs", "live", "CHECKED", True)
    assert shown.sentence.startswith("every run, which ends, of 11,416 states to depth 15, symmetry off (2 Agent, ")
    assert "committed(a)" in found.formula
    assert found.formula.endswith("\nneed never be taken: launch, abort, external, read, call")
    assert "mtpo.runs-end" in dict(standing(SPECS, ledger).rows)


def test_a_clause_comes_with_what_happens_without_it(ledger: list[Entry]) -> None:
    found = explain("mtpo.call.closed", SPECS, ledger)
    assert [id for id, _, _ in found.mutants] == ["mtpo.call.closed", *(f"mtpo.call.closed~{n}" for n in range(7))]
    assert {m.id for m in mutants(mtpo) if "call.closed" in m.id} == {id for id, _, _ in found.mutants}
    assert all(dropped.startswith("guard: ") for _, dropped, _ in found.mutants)
    assert all(fate.startswith("caught by mtpo.") for _, _, fate in found.mutants)
    assert found.mutants[1][2] == "caught by mtpo.effects-exact, mtpo.lemma-closed"
    parts = explain("mtpo.commit.finished", SPECS, ledger)
    assert [id for id, _, _ in parts.mutants] == ["mtpo.commit.finished/0", "mtpo.commit.finished/1"]
    equal = explain("mtpo.read.not-the-origin", SPECS, ledger)
    assert equal.mutants[0][2].startswith("equivalent: the origin writes every object")
    whole = explain("mtpo.call", SPECS, ledger)
    assert {m[0] for m in whole.mutants} == {m.id for m in mutants(mtpo) if m.action == "call"}
    assert all(fate != "not tried" for _, _, fate in whole.mutants)


def test_every_mutant_is_explained_by_its_id_with_its_digest_or_without(ledger: list[Entry]) -> None:
    kinds = {"": "dropped.", "/": "a conjunct of it dropped.", "~": "altered from within."}
    for mutant in mutants(mtpo):
        action = explain(f"mtpo.{mutant.action}", SPECS, ledger)
        (row,) = (row for row in action.mutants if row[0] == mutant.id)
        marked = explain(f"{mutant.id}@{mutant.digest}", SPECS, ledger)
        assert (marked.id, marked.kind, marked.formula, marked.mutants) == (mutant.id, "mutant", mutant.what, (row,))
        mark = found[1] if (found := re.search(r"([/~])\d+$", mutant.id)) else ""
        assert marked.english.endswith(kinds[mark])
        # A dropped clause has the id of the clause.
        assert explain(mutant.id, SPECS, ledger).kind in ("mutant", "" if mark else "guard clause")
    with pytest.raises(NoSuchClause, match="unknown id"):
        explain("mtpo.commit.lower-committed~0@00000000", SPECS, ledger)


@pytest.mark.parametrize(
    ("id", "near"),
    [
        ("gate", "mtpo.call.gate"),
        ("mtpo.zzz", "mtpo."),
        ("mtpo.one-wax", "mtpo.one-way"),
        ("", "explain --rules"),
        ("F1", "FINDINGS.md"),
    ],
)
def test_an_unknown_id_is_refused_with_close_ones(ledger: list[Entry], id: str, near: str) -> None:
    with pytest.raises(NoSuchClause, match="unknown id") as refused:
        explain(id, SPECS, ledger)
    assert near in str(refused.value)


def test_the_ids_that_are_named_as_close_ones_are_few_and_the_nearest_come_first(ledger: list[Entry]) -> None:
    for id, first in (("mtpo.one", ""), ("mtpo.call.gte", "mtpo.call.gate"), ("fair.one-wya", "")):
        with pytest.raises(NoSuchClause) as refused:
            explain(id, SPECS, ledger, others=("F1", "F9"))
        near = str(refused.value).partition("close ones: ")[2].split(", ")
        assert 1 <= len(near) <= 6 and near[0].startswith(first)
    with pytest.raises(NoSuchClause, match=r"close ones: F9$"):
        explain("F99", SPECS, ledger, others=("F1", "F9"))


def test_the_installed_sources_stand(ledger: list[Entry]) -> None:
    found = standing(SPECS, ledger)
    assert found.holds, (found.missing, found.changed)
    assert found.as_json()["holds"] is True


def test_an_exploration_says_its_extent_and_whether_symmetry_was_on() -> None:
    """In a sentence of the certificate as in a line of the exploration."""
    instance = {"sizes": {"Block": 2, "Request": 1}, "states": 1234, "depth": 7, "symmetry": False}
    whole = Entry("kv.conservation", "exhaustive", "CHECKED", "", "0" * 64, {"instances": [instance]})
    (said,) = evidence_of("kv.conservation", [whole])
    assert said.sentence == "every state and step of 1,234 states to depth 7, symmetry off (2 Block, 1 Request)"
    assert extent({**instance, "symmetry": True}) == "1,234 states to depth 7, symmetry on (2 Block, 1 Request)"
    assert extent({**instance, "constants": "times"}).endswith(" symmetry off (2 Block, 1 Request; times)")


def test_a_changed_source_and_a_missing_entry_do_not(ledger: list[Entry]) -> None:
    old = [attrs.evolve(e, sources="0" * 64) if e.property == "mtpo.gate" else e for e in ledger]
    found = standing(SPECS, old)
    assert not found.holds
    assert set(found.changed) == {"mtpo.gate (inductive)", "mtpo.gate (exhaustive)"}
    found = standing(SPECS, [e for e in ledger if e.property != "kv.mutants"])
    assert (found.holds, found.missing) == (False, ("kv.mutants",))


def test_what_one_spec_assumes_of_a_state_of_another_is_shown_there():
    assumed = explain("serial.mtpo.effects-exact", SPECS)
    assert (assumed.kind, assumed.english) == ("assumption", explain("mtpo.effects-exact", SPECS).english)
    assert "PROVED" in {e.status for e in assumed.evidence}
    assert explain("serial.at-rest", SPECS).evidence == ()


def test_of_a_claim_that_runs_end_it_is_told_what_the_variants_do_not_bound():
    bounded = "every action but external is taken finitely often, by: mtpo."
    assert explain("mtpo.no-livelock", SPECS).formula.startswith(bounded)
    kept = {id: v for id, v in mtpo.variants.items() if id != "mtpo.agents-advance"}
    lines = explain("mtpo.no-livelock", [mtpo.without(variants=kept)]).formula.splitlines()
    assert lines[0] == "every action but external is taken finitely often; not bounded:"
    open = [name for name in mtpo.actions if name in mtpo.variants["mtpo.agents-advance"].decreases]
    assert lines[1:-1] == [f"  {name} (no variant that is shown decreases with it)" for name in open]
    assert lines[-1].startswith("the others by: mtpo.") and "mtpo.agents-advance" not in lines[-1]
    ending = mtpo.endings["mtpo.no-livelock"]
    whole = mtpo.without(endings={ending.id: attrs.evolve(ending, but=())})
    assert explain(ending.id, [whole]).formula.startswith(
        "every action is taken finitely often; not bounded:\n  external "
    )
    none = explain("mtpo.no-livelock", [mtpo.without(variants={})]).formula
    assert none.endswith("\nnor any other") and "by:" not in none
