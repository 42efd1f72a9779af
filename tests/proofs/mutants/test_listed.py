"""Lists of mutants that change nothing: an entry is of one mutant, and of no other after an edit of the rule."""

from __future__ import annotations

import pytest

from mtpo.proofs.mutants.listed import WronglyListed, check_listed, key_of, reason_for
from mtpo.proofs.mutants.mutate import EQUIVALENT, Mutant, mutants
from mtpo.spec.language import Sort, Spec, exists, implies, require
from mtpo_core.cli.specs import find_source


class Door(Sort):
    "a door"


def house(*premises: str) -> list[Mutant]:
    """The mutants of an action whose guard says: a door that is all of these leads to one that is open."""
    spec = Spec("house")
    known = {name: spec.var(name, Door, init=lambda d: False) for name in ("shut", "dark", "open", "old")}

    @spec.action
    def enter(d: Door) -> None:
        premise = known["shut"](d)
        for name in premises:
            premise = premise & known[name](d)
        require("led", implies(~premise, exists(Door, lambda e: known["open"](e) | known["old"](e))))
        known["open"][d] = True

    return list(mutants(spec))


def by_id(made: list[Mutant], id: str) -> Mutant:
    return next(m for m in made if m.id == id)


def test_every_built_in_list_is_of_mutants_as_they_are_and_says_why() -> None:
    source = find_source(None)
    listed = {**EQUIVALENT, **source.equivalent}
    check_listed(listed, [m for spec in source.specs for m in mutants(spec)])
    assert [key for key in listed if "@" not in key] == []
    assert all(len(reason.split()) >= 4 for reason in listed.values())


def test_a_digest_is_of_what_a_rule_says_and_not_of_its_names() -> None:
    made = house("dark")
    assert [key_of(m) for m in made] == [key_of(m) for m in house("dark")]
    assert len({m.digest for m in made}) == len(made)
    other = {m.id: m.digest for m in house("old")}
    same = [m.id for m in made if other[m.id] == m.digest]
    assert same == ["house.enter.open:="], "the rest is of the guard, which says something else"


def test_an_entry_excuses_the_mutant_that_it_was_written_for_alone() -> None:
    made = house("dark")
    mutant = by_id(made, "house.enter.led~0")
    listed = {key_of(mutant): "it is dark anyway", "house.enter.open:=": "nobody looks"}
    check_listed(listed, made)
    assert reason_for(mutant, listed) == "it is dark anyway"
    assert reason_for(by_id(made, "house.enter.open:="), listed) == "nobody looks"
    assert reason_for(by_id(house("old", "dark"), "house.enter.led~0"), listed) == ""
    assert reason_for(mutant, {mutant.id: "a number alone lists nobody"}) == ""


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("house.enter.led~0@0123abcd", "the rule of house.enter.led~0@0123abcd says something else now: if "),
        ("house.enter.led~0", "house.enter.led~0 has a number, which may become another's: if this is the one ("),
        ("house.enter.open:=@0123abcd", "the rule of house.enter.open:=@0123abcd says something else now: if "),
        ("house.enter.nothing", "list names no mutant: house.enter.nothing"),
        ("house.enter.nothing@0123abcd", "list names no mutant: house.enter.nothing@0123abcd"),
    ],
)
def test_a_wrong_entry_is_told_with_what_to_write(key: str, told: str) -> None:
    made = house("dark")
    with pytest.raises(WronglyListed) as caught:
        check_listed({key: "a reason"}, made, "list")
    said = str(caught.value)
    assert said.removeprefix("list: ").startswith(told) and "\n" not in said
    if "nothing" not in key:
        assert f"write {key_of(by_id(made, key.partition('@')[0]))}" in said


def test_an_entry_whose_number_has_shifted_is_told_where_it_went() -> None:
    made = house("dark")
    first, second = by_id(made, "house.enter.led~0"), by_id(made, "house.enter.led~1")
    with pytest.raises(WronglyListed) as caught:
        check_listed([f"{first.id}@{second.digest}"], made)
    assert str(caught.value) == (
        f"EQUIVALENT: what {first.id}@{second.digest} was is {second.id} now: write {key_of(second)}"
    )
