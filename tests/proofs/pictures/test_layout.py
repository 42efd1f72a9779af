"""Formulas over lines: nothing but blanks is added, and what is laid out is read as before."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from mtpo.proofs.mutants.fates import altered
from mtpo.proofs.pictures.layout import WIDTH, laid_out
from mtpo.spec.language import Spec, show
from mtpo_core.cli.specs import find_specs


def texts(spec: Spec) -> Iterator[str]:
    """Every formula of a spec, its properties, guards, updates and variants, and what its mutants alter."""
    yield from (show(p.formula) for p in spec.properties.values())
    for variant in spec.variants.values():
        yield f"decreases with {', '.join(variant.decreases)}: ({'; '.join(map(show, variant.sets))})"
    for action in spec.actions.values():
        yield from (f"{clause.id}: {show(clause.formula)}" for clause in action.guard)
        yield from (f"{u.variable.name} := {show(u.value)}" for u in action.updates)
    yield from (mutant.what for mutant in altered(spec))


def bare(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("spec", find_specs(None), ids=lambda spec: spec.name)
def test_without_blanks_it_is_the_flat_text(spec: Spec) -> None:
    for text in texts(spec):
        for width in (24, 60, WIDTH):
            laid = laid_out(text, width)
            assert bare(laid) == bare(text)
            assert laid == text or len(text) > width
            assert all(line == line.rstrip() for line in laid.splitlines())


def test_lines_keep_to_the_width() -> None:
    """Every formula of the built-in specs has room on its lines, however deep."""
    for spec in find_specs(None):
        for text in texts(spec):
            lines = [line for line in laid_out(text).splitlines() if not line.startswith("decreases with ")]
            assert max(map(len, lines), default=0) <= WIDTH, text


def test_what_belongs_together_is_below_one_another() -> None:
    formula = (
        "forall a: Agent. (waits(a) & (forall b: Agent. before(b, a) -> ~waits(b))) -> (first(a) | ~(some & other))"
    )
    assert laid_out(formula, 100).splitlines() == [
        "forall a: Agent.",
        "  (waits(a) & (forall b: Agent. before(b, a) -> ~waits(b))) -> (first(a) | ~(some & other))",
    ]
    assert laid_out(formula, 36).splitlines() == [
        "forall a: Agent.",
        "  (waits(a)",
        "   & (forall b: Agent.",
        "        before(b, a) -> ~waits(b)))",
        "  -> (first(a) | ~(some & other))",
    ]
    assert laid_out("if ready(a) & asked(a) then a else next(a)", 24).splitlines() == [
        "if ready(a) & asked(a)",
        "then a",
        "else next(a)",
    ]


def test_names_and_places_stand_before_what_they_are_of() -> None:
    assert laid_out("  free: waits(a) & ~inside(a)", 20).splitlines() == ["  free:", "    waits(a)", "    & ~inside(a)"]
    assert laid_out("top(x0) := if a then b else c", 26).splitlines() == ["top(x0) :=", "  if a then b else c"]
    assert laid_out("update: without a, in top[x0] := a & b", 30).splitlines() == [
        "update:",
        "  without a,",
        "  in top[x0] := a & b",
    ]
    assert laid_out("decreases with leave: (first(x) & second(x); third(x))", 28).splitlines() == [
        "decreases with leave:",
        "  (first(x) & second(x);",
        "   third(x))",
    ]


def test_a_word_that_is_too_long_stays_whole_and_lines_are_laid_out_one_by_one() -> None:
    assert laid_out("a_relation_of_a_long_name(with, arguments)", 20) == "a_relation_of_a_long_name(with, arguments)"
    assert laid_out("go(a)\n  asked: waits(a)\nneed never be taken: nothing") == (
        "go(a)\n  asked: waits(a)\nneed never be taken: nothing"
    )


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("forall p: P. inside(p) -> (inside(p))", "forall p: P. inside(p) -> inside(p)"),
        ("(done(p)) & (~f'(p, q)) & (free)", "done(p) & ~f'(p, q) & free"),
        ("(p = q) -> (a & b)", "(p = q) -> (a & b)"),
        ("inside(p) -> f'(p) | g(p)", "inside(p) -> f'(p) | g(p)"),
        ("decreases with leave: (inside(p))", "decreases with leave: (inside(p))"),
    ],
)
def test_an_atom_has_no_parentheses_of_its_own_beside_an_operator(text: str, plain: str) -> None:
    assert laid_out(text) == plain
