"""The verb ``ablate``: what a rule is for is said in words, and how many rules there are reads well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

import mtpo.proofs.ablate as ablating

Mtpo = Callable[..., Any]


def test_of_what_goes_on_for_ever_it_is_said_why(mtpo: Mtpo) -> None:
    said = mtpo("ablate", "--only", "one-way", "--traces")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(
        "each rule, and what breaks without it, with the steps of a shortest run that does\n\none-way "
    )
    *_, last, on, why, nothing, summary = said.out.splitlines()
    assert last.strip() == "basis(agent1): 3 -> 5"
    assert on.strip() == "and so on: nothing ends it, as is proven"
    assert why.strip() == "two_way.endless: Somebody has still to act, or has been told of a change."
    assert (nothing, summary) == ("", "1 rule: without it something breaks")


@pytest.mark.parametrize(
    ("rules", "idle", "summary"),
    [
        (1, 0, "1 rule: without it something breaks"),
        (1, 1, "1 rule: without it nothing breaks"),
        (3, 0, "3 rules: whichever goes, something breaks"),
        (3, 1, "3 rules: 1 for nothing, nothing breaks without it"),
        (3, 2, "3 rules: 2 for nothing, nothing breaks without them"),
        (3, 3, "3 rules: whichever goes, nothing breaks"),
    ],
)
def test_how_many_rules_are_for_something(
    mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch, rules: int, idle: int, summary: str
) -> None:
    row = ablating.livelock(ablating.RULES[-1])
    rows = [attrs.evolve(row, broken={}) if number < idle else row for number in range(rules)]
    monkeypatch.setattr(ablating, "ablate", lambda *args: rows)
    said = mtpo("ablate")
    assert said.out.splitlines()[-1] == summary
    assert said.out.count("BREAKS NOTHING") == idle
    assert said.code == (1 if idle else 0)
