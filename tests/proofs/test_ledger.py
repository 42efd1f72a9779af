"""The ledger: fresh for the sources that are here, complete for the specs, and sensitive to what matters only."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import attrs
import pytest

import mtpo.proofs.ledger as ledger
from mtpo.proofs.evidence import standing
from mtpo.proofs.exploration.goals import GOALS, goals_of
from mtpo.proofs.ledger import (
    METHODS,
    REFINES,
    Entry,
    LedgerError,
    entries_of,
    read_ledger,
    record,
    sources_hash,
    stale,
)
from mtpo.proofs.mutants.listed import reason_for
from mtpo.proofs.mutants.mutate import EQUIVALENT as BUILT_IN_EQUIVALENT
from mtpo.proofs.mutants.mutate import mutants
from mtpo.proofs.refinement.planted import BUGS, FAULTY
from mtpo.proofs.refinement.refined import SIZES, Size
from mtpo.proofs.verdicts import Status, Verdict
from mtpo.spec.language import Spec
from mtpo_core.cli.specs import find_source
from mtpo_core.problems import MEANINGS

SPECS = find_source(None).specs
EQUIVALENT = {**BUILT_IN_EQUIVALENT, **find_source(None).equivalent}

REFRESH = """show it again:
  mtpo prove --cvc5 --record proofs/ledger.json
  for sizes in "--objects 1" ""; do
    mtpo explore mtpo --faults --predicates $sizes --limit 1000000000 --record proofs/ledger.json; done
  mtpo explore kv --size 3 --record proofs/ledger.json
  for sizes in "--objects 1" "--objects 2" "--calls 2 --objects 1" "--agents 3 --objects 1"; do
    mtpo explore mtpo --faults $sizes --limit 1000000000 --record proofs/ledger.json; done
  for sizes in "--calls 2 --objects 1" "--agents 3"; do
    mtpo explore mtpo $sizes --limit 1000000000 --record proofs/ledger.json; done
  for more in "" "--objects 1" "--calls 2 --objects 1" "--agents 3 --objects 1" "--faults --objects 1" --faults \
      "--faults --predicates --objects 1"; do
    mtpo explore mtpo --live $more --limit 50000000 --record proofs/ledger.json; done
  specs="fair batching concur conserve gap failover footprint recovery delivery shadows names levels locks serial"
  for spec in mtpo $specs; do mtpo explore $spec --record proofs/ledger.json; done
  for spec in mtpo kv $specs; do mtpo mutate $spec --record proofs/ledger.json; done
  mtpo certificate --refine --record proofs/ledger.json"""


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return read_ledger()


# -- the ledger that is shipped ------------------------------------------------------------------------------------


def test_no_entry_is_stale(entries: list[Entry]) -> None:
    old = sorted({f"{e.property} ({e.method})" for e in stale(entries)})
    assert old == [], f"the sources have changed since; {REFRESH}"


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_property_of_a_spec_has_an_entry(entries: list[Entry], spec: Spec) -> None:
    found = {(e.property, e.method) for e in entries}
    proved = {(p.id, "inductive") for p in spec.role("invariant", "lemma", "step")}
    proved |= {(id, "inductive") for id in (*spec.variants, *spec.endings)}
    explored = {(p.id, "exhaustive") for p in spec.role("invariant", "lemma", "step")}
    reached = {(p.id, "reached") for p in spec.role("reachable")}
    live = {(goal.id, "live") for goal in goals_of(spec)}
    assert (proved | explored | reached | live | {(f"{spec.name}.mutants", "mutants")}) - found == set(), REFRESH


def test_every_entry_is_of_something_that_exists(entries: list[Entry]) -> None:
    known = {id for spec in SPECS for id in (*spec.claims, f"{spec.name}.mutants")} | GOALS.keys()
    assert {e.property for e in entries} <= known | {REFINES}
    assert len({(e.property, e.method) for e in entries}) == len(entries)
    assert {e.method for e in entries} == set(METHODS)


def test_what_the_entries_say(entries: list[Entry]) -> None:
    assumptions = {spec.name: sorted(p.id for p in spec.role("assumption")) for spec in SPECS}
    english = {p.id: p.doc for spec in SPECS for p in spec.claims.values()}
    english |= {goal.id: goal.doc for goal in GOALS.values()}
    english[REFINES] = MEANINGS[REFINES].english
    for e in entries:
        assert e.status == ("PROVED" if e.method == "inductive" else "CHECKED"), e.property
        assert "seconds" not in e.detail
        if e.method == "inductive":
            assert e.detail["obligations"] > 0
            assert sorted(e.detail["assumptions"]) == assumptions[e.property.split(".")[0]]
        elif e.method in ("exhaustive", "reached", "live"):
            assert all(i["states"] > 0 and i["sizes"] for i in e.detail["instances"])
        if e.method != "mutants":
            assert e.english == english[e.property] != ""


def test_the_protocol_is_explored_where_agents_have_a_second_call(entries: list[Entry]) -> None:
    """Some clauses forbid nothing to the first call of an agent. One of the calls is the origin."""
    for entry in entries:
        if entry.property.startswith("mtpo.") and entry.method == "exhaustive":
            sizes = [(each["sizes"], each.get("constants", "")) for each in entry.detail["instances"]]
            second = {faults for size, faults in sizes if size["Call"] > 2 * size["Agent"]}
            once = "footprints up to renamings"
            with_faults = f"{once}; with aborts, retractions and changes from outside"
            nobody_gives_up = set() if entry.property == "mtpo.may-give-up" else {once}
            assert second == {*nobody_gives_up, with_faults}, entry.property


def test_what_is_shown_of_the_core(entries: list[Entry]) -> None:
    """The sizes that `mtpo certificate --refine` explores, and every planted bug."""
    (entry,) = (e for e in entries if e.property == REFINES)
    found = [
        (Size(*(row[name] for name in ("agents", "calls", "objects", "faults", "chosen"))), row["plans"], row["states"])
        for row in entry.detail["explored"]
    ]
    assert tuple(size for size, _, _ in found) == SIZES
    assert [plans for _, plans, _ in found] == [sum(1 for _ in size.plans()) for size in SIZES]
    assert all(states > plans for _, plans, states in found)
    assert entry.detail["planted"].keys() == {bug.__name__ for bug in (*BUGS, *FAULTY)}
    assert entry.detail["escaped"] == []


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_mutant_is_accounted_for(entries: list[Entry], spec: Spec) -> None:
    (entry,) = (e for e in entries if e.property == f"{spec.name}.mutants")
    made = list(mutants(spec))
    assert entry.detail["mutants"] == len(made)
    assert entry.detail["survived"] == []
    equivalent, alone = entry.detail["equivalent"], entry.detail["by_a_lemma_alone"]
    assert equivalent | alone == {m.id: why for m in made if (why := reason_for(m, EQUIVALENT))}
    assert entry.detail["killed"] + len(equivalent) + len(alone) == len(made)
    lemmas = {p.id for p in spec.role("lemma")}
    assert {id for id, by in entry.detail["killed_by"].items() if lemmas.issuperset(by)} == alone.keys()


# -- which change makes an entry stale -----------------------------------------------------------------------------

SOURCE = '''"""A module."""

LIMIT = 3  # a comment


def f(x: int) -> int:
    "Doubles."
    return x + x
'''


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The texts of the sources, to be changed at will."""
    texts = dict.fromkeys(("spec/toy.py", *(name for names in METHODS.values() for name in names)), SOURCE)
    monkeypatch.setattr(ledger, "_source", texts.__getitem__)
    return texts


def toy(method: str = "inductive") -> Entry:
    return Entry("toy.p", method, "PROVED", "P.", sources_hash("toy", method), {})


@pytest.mark.parametrize("method", METHODS)
def test_a_change_of_a_syntax_tree_makes_an_entry_stale(sources: dict[str, str], method: str) -> None:
    entry = toy(method)
    assert stale([entry]) == []
    for name in ("spec/toy.py", *METHODS[method]):
        for old, new in (("x + x", "x + 1"), ("LIMIT = 3", "LIMIT = 4"), ('"Doubles."', '"Triples."')):
            sources[name] = SOURCE.replace(old, new)
            assert stale([entry]) == [entry], f"{old} -> {new} in {name}"
        sources[name] = SOURCE
    assert stale([entry]) == []


@pytest.mark.parametrize(
    "name",
    ["mtpo_core/machine.py", "mtpo_core/events.py", "proofs/refinement/comparison.py", "spec/mtpo/abstraction.py"],
)
def test_a_change_of_the_core_makes_what_is_shown_of_it_stale_and_nothing_else(
    entries: list[Entry], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ledger._source
    monkeypatch.setattr(ledger, "_source", lambda asked: text(asked) + ("\nx = 1\n" if asked == name else ""))
    assert [(e.property, e.method) for e in stale(entries)] == [(REFINES, "refinement")]
    found = standing(SPECS, entries)
    assert (found.holds, found.changed) == (False, (f"{REFINES} (refinement)",))


@pytest.mark.parametrize(
    "other",
    [
        SOURCE + '\nEQUIVALENT: Final = {"toy.f.x": "it changes nothing"}\n',
        SOURCE.replace("  # a comment", ""),
        SOURCE.replace("# a comment", "# another one"),
        SOURCE.replace("\n\n\n", "\n\n# and this\n\n\n"),
        SOURCE.replace("x + x", "(x\n        + x)"),
        SOURCE.replace("A module.", "A module, in other words."),
        SOURCE.replace('"Doubles."', "'Doubles.'"),
    ],
    ids=[
        "equivalent mutants",
        "no comment",
        "another comment",
        "one more",
        "layout",
        "the module's own words",
        "quotes",
    ],
)
def test_a_comment_or_the_layout_does_not(sources: dict[str, str], other: str) -> None:
    assert other != SOURCE
    entry = toy()
    for name in METHODS["inductive"]:
        sources[name] = other
    assert stale([entry]) == []


def test_a_source_that_a_method_does_not_rest_on_does_not(sources: dict[str, str]) -> None:
    entry = toy("inductive")
    sources["proofs/exploration/explore.py"] = "x = 1"
    assert stale([entry]) == []
    assert (
        sources_hash("toy", "exhaustive") != sources_hash("toy", "reached")
        or METHODS["exhaustive"] == METHODS["reached"]
    )


def test_the_sources_of_a_method_are_what_it_imports() -> None:
    """What a method's modules import of spec and proofs is among its sources, but for what only shows the outcome."""
    # how a list of equivalent mutants is read changes nothing that is caught; an entry has the list itself
    shows = {"proofs/verdicts.py", "spec/study.py", "proofs/mutants/listed.py", "proofs/mutants/hidden.py"}
    root = Path(ledger.__file__).parents[1]
    start = {"inductive": "induction/inductive", "live": "exploration/liveness", "mutants": "mutants/mutate"}
    start |= dict.fromkeys(("exhaustive", "reached"), "exploration/explore") | {"refinement": "refinement/refined"}
    # a picture is no proof; and serial, which begins where mtpo rests, has no goal of whole runs
    not_asked = {"inductive": {"spec/concrete.py"}, "live": {"proofs/exploration/resting.py"}}
    # what z3 is asked first; it must prove it all the same
    hints = {"proofs/induction/remembered.py", "proofs/exploration/packing.py"}
    hints |= {"proofs/cachefolder.py", "proofs/digests.py"}
    # a property's own spec is always among its sources
    own = ("mtpo", "mtpo/model", "fairbatching", "bounded_gap", "recovery", "shadows", "names", "levels", "serial")
    specs = {f"spec/{name}.py" for name in own} | {f"spec/{name}/__init__.py" for name in own}
    for method, module in start.items():
        todo, seen = [f"proofs/{module}.py"], set[str]()
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            if name in specs:
                continue
            nodes = ast.walk(ast.parse((root / name).read_text(encoding="utf-8")))
            froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
            packages = {n.module for n in froms if (root / n.module.removeprefix("mtpo.").replace(".", "/")).is_dir()}
            imported = [n.module for n in froms if n.module not in packages]
            imported += [f"{n.module}.{alias.name}" for n in froms if n.module in packages for alias in n.names]
            own_ones = [m for m in imported if m.startswith(("mtpo.", "mtpo_core."))]
            paths = [m.removeprefix("mtpo.").replace(".", "/") for m in own_ones]
            todo += [f"{p}.py" if (root / f"{p}.py").exists() else f"{p.rpartition('/')[0]}/__init__.py" for p in paths]
        assert seen - shows - specs - hints - not_asked.get(method, set()) <= set(METHODS[method]), method


# -- writing and reading -------------------------------------------------------------------------------------------


def test_entries_are_read_back_and_replaced_by_property_and_method(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    one = Entry("mtpo.gate", "inductive", "PROVED", "é", "0" * 64, {"obligations": 3})
    two = attrs.evolve(one, method="exhaustive", status="CHECKED")
    record(path, [two, one])
    assert read_ledger(path) == [two, one]  # sorted by property, then method
    newer = attrs.evolve(one, sources="1" * 64)
    record(path, [newer])
    assert read_ledger(path) == [two, newer]
    assert stale(read_ledger(path)) == [two, newer]


def test_an_entry_of_a_verdict_holds_for_the_sources_that_are_here(lock: Spec) -> None:
    detail = {"obligations": 2, "seconds": 1.5}
    verdict = Verdict("kv.conservation", Status.PROVED, "inductive", detail, ("kv.assumed",))
    (entry,) = entries_of([verdict], {"kv.conservation": "No block is lost."})
    assert entry.english == "No block is lost."
    assert entry.detail == {"obligations": 2, "assumptions": ["kv.assumed"]}
    assert entry.sources == sources_hash("paged_kv", "inductive")
    assert stale([entry]) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"entries": [{}]}', '{"entries": [3]}', json.dumps({"entries": [{"property": "x"}]})]
)
def test_what_is_no_ledger_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ledger.json"
    path.write_text(text)
    with pytest.raises(LedgerError) as caught:
        read_ledger(path)
    assert str(caught.value).startswith(f"{path}: not a ledger (")
    assert "\n" not in str(caught.value)
    with pytest.raises(LedgerError):
        record(path, [])
    assert path.read_text() == text
