"""Code that is made shorter does the same."""

from __future__ import annotations

import itertools
import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from mtpo.proofs.incremental.blocks import (
    TAB,
    apart_by_depth,
    bound,
    decided,
    indented,
    merged,
    propagated,
    shared,
    tidy,
)


def outcome(lines: Sequence[str], **given: Any) -> list[Any]:
    """What code that calls ``told`` says."""
    said: list[Any] = []
    exec("\n".join(["def run():", *indented([*lines, "pass"]), "run()"]), {**given, "told": said.append})
    return said


def test_other_names_for_the_same_go() -> None:
    lines = ["x = a", "y = x", "told(y)", "x = b", "told(x)", "for x in c:", f"{TAB}z = x", f"{TAB}told(z)"]
    assert propagated(lines) == ["told(a)", "told(b)", "for x in c:", f"{TAB}told(x)"]


def test_what_is_read_twice_is_read_once() -> None:
    lines = ["v1 = s_f[x]", "if s_f[x]:", f"{TAB}v2 = s_f[x]", f"{TAB}told(v2)", "told(x*m_A+y)", "told(x*m_A+y + 1)"]
    text = "\n".join(shared(lines))
    assert (text.count("s_f[x]"), text.count("x*m_A+y")) == (1, 1)
    given = {"s_f": [0, 5], "x": 1, "y": 2, "m_A": 10}
    assert outcome(lines, **given) == outcome(shared(lines), **given) == [5, 12, 13]


def test_a_read_of_another_element_by_the_same_name_is_not_the_same() -> None:
    lines = ["for x in a:", f"{TAB}v1 = s_f[x]", f"{TAB}told(v1)", "x = 0", "v1 = s_f[x]", "told(v1)", "x = 1"]
    lines += ["v2 = s_f[x]", "told(v2)"]
    given = {"s_f": [7, 8, 9], "a": [1, 2]}
    assert outcome(lines, **given) == outcome(shared(lines), **given) == [8, 9, 7, 8]


def test_tests_that_are_decided_go_with_what_they_exclude() -> None:
    lines = ["if f[x]:", f"{TAB}told(1)", f"{TAB}if not f[x]:", f"{TAB * 2}told(2)", "if not g[x]:", f"{TAB}told(3)"]
    lines += ["if h:", f"{TAB}if not f[x]:", f"{TAB * 2}told(4)", "told(5)"]
    assert decided(lines, {"f[x]": True}) == ["told(1)", "if not g[x]:", f"{TAB}told(3)", "told(5)"]


def test_loops_over_the_same_are_one() -> None:
    lines = ["for x in a:", f"{TAB}told(x)", "for y in a:", f"{TAB}told(y + 1)"]
    lines += ["for u, v in pairs(b):", f"{TAB}told(u)", "for w, u in pairs(b):", f"{TAB}told(w - u)"]
    given = {"a": [1, 2], "b": [(3, 4), (5, 7)], "pairs": iter}
    found = merged(lines)
    assert [line for line in found if not line.startswith(TAB)] == ["for x in a:", "for u, v in pairs(b):"]
    assert sorted(outcome(found, **given)) == sorted(outcome(lines, **given))


def programs(chance: random.Random) -> Iterator[str]:
    """Lines of random code that reads a state, at depths that nest."""
    depth, names = 0, itertools.count()
    known = [["x", "y"]]
    for _ in range(25):
        depth = chance.randrange(depth + 1)
        del known[depth + 1 :]
        mine = [name for scope in known for name in scope]
        a, b = chance.choice(mine), chance.choice(mine)
        read = chance.choice([f"s_f[{a}]", f"s_g.get({a}, {b})", f"s_g.get({a}, s_f[{b}])", f"{a}", f"s_f[s_f[{a}]]"])
        match chance.randrange(4):
            case 0:
                yield f"{TAB * depth}v{(name := next(names))} = {read}"
                known[depth].append(f"v{name}")
            case 1:
                yield f"{TAB * depth}told(({a}*m_A+{b} in s_r, {read}))"
            case _:
                line = f"for e_{(name := next(names))} in range({a}):" if chance.random() < 0.4 else f"if {read} < 2:"
                yield f"{TAB * depth}{line}"
                depth += 1
                known.append([f"e_{name}"] if line.startswith("for") else [])
                yield f"{TAB * depth}told({read})"


@pytest.mark.parametrize("seed", range(60))
def test_random_code_says_the_same(seed: int) -> None:
    chance = random.Random(seed)
    lines = list(programs(chance))
    table = [chance.randrange(4) for _ in range(4)]
    given = {"s_f": table, "s_g": {1: 2, 3: 0}, "m_A": 4, "s_r": {1, 6, 9}, "x": chance.randrange(4), "y": 3}
    assert outcome(lines, **given) == outcome(shared(lines), **given) == outcome(propagated(lines), **given)


def search(chance: random.Random, number: int) -> Iterator[str]:
    """Lines of a random search, whose names end in its number, that says something at its heart."""
    mine, depth = ["x", "y"], 0
    for place in range(chance.randrange(1, 6)):
        a, b = chance.choice(mine), chance.choice(mine)
        match chance.randrange(4):
            case 0:
                yield f"{TAB * depth}v{place}_{number} = {chance.choice((f's_f[{a}]', f's_g[{a}]', a))}"
                mine.append(f"v{place}_{number}")
                continue
            case 1:
                yield f"{TAB * depth}for e{place}_{number} in i{chance.randrange(2)}[{a}]:"
                mine.append(f"e{place}_{number}")
            case 2:
                yield f"{TAB * depth}if (l := i1[{a}]) and l[-1] >= {b}:"
                depth += 1
                yield f"{TAB * depth}for e{place}_{number} in l[bisect_left(l, {b}):]:"
                mine.append(f"e{place}_{number}")
            case _:
                yield f"{TAB * depth}if {chance.choice(('', 'not '))}s_f[{a}] < {chance.choice((b, 1))}:"
        depth += 1
    yield f"{TAB * depth}told({chance.randrange(3)})"


@pytest.mark.parametrize("seed", range(60))
def test_merged_searches_find_the_same(seed: int) -> None:
    chance = random.Random(seed)
    lines = [line for number in range(6) for line in search(chance, number)]
    shorter = apart_by_depth(merged(lines))
    lists = [[sorted(chance.sample(range(4), chance.randrange(3))) for _ in range(4)] for _ in range(2)]
    given = {"s_f": chance.choices(range(4), k=4), "s_g": chance.choices(range(4), k=4), "bisect_left": bisect_left}
    for x, y in itertools.product(range(4), repeat=2):
        every = {**given, "i0": lists[0], "i1": lists[1], "x": x, "y": y}
        assert set(outcome(lines, **every)) == set(outcome(shorter, **every)), "\n".join((*lines, "", *shorter))


def test_functions_of_steps_have_what_they_use_at_hand() -> None:
    program = ["def other(a):", f"{TAB}return s_f[a]", "def guard_go(a):", f"{TAB}return s_f[a] + len(i1)"]
    first, second = bound(tidy(program), {"s_f", "s_g"})
    scope: dict[str, Any] = {}
    exec(first, scope)
    scope |= {"s_f": [3, 4], "i1": [[]]}
    exec(second, scope)
    assert "guard_go(a, i1=i1, s_f=s_f)" in second
    assert (scope["other"](1), scope["guard_go"](1)) == (4, 5)
