"""A state of one spec as constants of another: the same symbols, the same formulas, true of the same states."""

from __future__ import annotations

import pytest

from mtpo.spec.concrete import Instance
from mtpo.spec.frozen import Frozen
from mtpo.spec.language import Bool, OrderedSort, Spec, SpecError, forall, implies, require, show


class Clerk(OrderedSort):
    """somebody with a counter"""


def clerks():
    spec = Spec("clerks", "Clerks who open and close.")
    chief = spec.const("chief", to=Clerk, doc="who may close")
    open_ = spec.var("open", Clerk, init=lambda c: False, doc="serves")

    @spec.action
    def start(c: Clerk) -> None:
        require("shut", ~open_(c))
        open_[c] = True

    @spec.invariant("clerks.chief-first")
    def chief_first() -> Bool:
        "Nobody serves before the chief."
        return forall(Clerk, lambda c: implies(open_(c), open_(chief()) | (c == chief())))

    return spec


def test_a_state_becomes_constants_by_the_same_names():
    of, within = clerks(), Spec("audit")
    frozen = Frozen(of, within)
    known = frozen.symbol(of.variables["open"])
    assert known is within.constants["open"] is frozen.symbol(of.variables["open"])
    assert (known.kind, known.domain, known.range, known.doc) == ("const", (Clerk,), Bool, "serves")
    assert list(within.constants) == ["open"], "what nobody asked for is not there"


def test_a_formula_says_the_same_and_declares_what_it_mentions():
    of, within = clerks(), Spec("audit")
    original = of.properties["clerks.chief-first"].formula
    within.assume("audit.chief-first")(lambda: Frozen(of, within).property("clerks.chief-first"))
    assert show(within.properties["audit.chief-first"].formula) == show(original)
    assert set(within.constants) == {"open", "chief"}


def test_it_is_true_of_the_states_of_which_the_original_is():
    of, within = clerks(), Spec("audit")
    within.assume("audit.chief-first")(lambda: Frozen(of, within).property("clerks.chief-first"))
    within.var("seen", Clerk, init=lambda c: False)
    here = Instance(of, {Clerk: 2}, {}, open=("chief",))
    there = Instance(within, {Clerk: 2}, {}, open=tuple(within.constants))
    verdicts = set()
    for chief in (0, 1):
        for served in ((0, 0), (0, 1), (1, 0), (1, 1)):
            state = here.freeze([chief, *served])
            audit = there.freeze(there.initial({"chief": [chief], "open": served}))
            assert bool(here.violated(state)) == bool(there.assumed(audit))
            verdicts.add(bool(there.assumed(audit)))
    assert verdicts == {True, False}


def test_what_is_not_of_the_first_spec_stays():
    of, within = clerks(), Spec("audit")
    seen = within.var("seen", Clerk, init=lambda c: False)
    frozen = Frozen(of, within)
    formula = frozen.formula(forall(Clerk, lambda c: implies(seen(c), of.variables["open"](c))))
    assert show(formula) == "forall c: Clerk. seen(c) -> open(c)" and set(within.constants) == {"open"}


def test_a_name_that_the_second_spec_has_already_is_refused():
    of, within = clerks(), Spec("audit")
    within.var("open", Clerk, init=lambda c: False)
    with pytest.raises(SpecError, match="`open` is already declared"):
        Frozen(of, within).property("clerks.chief-first")
    other = Spec("audit")
    other.const("open", Clerk, doc="something else")
    with pytest.raises(SpecError, match="`open` is already declared"):
        Frozen(of, other).property("clerks.chief-first")
