"""The traces of the findings on predicates (F27, F37): what one may not waive."""

from __future__ import annotations

from typing import Final, cast

import attrs

from mtpo.proofs.exploration.instances import mtpo_instance
from mtpo.proofs.findings.calls import NONE, X, act, script, with_actions
from mtpo.proofs.findings.scripted import Holds, Refused
from mtpo.proofs.findings.traces import Weakened
from mtpo.spec.language import Bool, Spec, exists
from mtpo.spec.mtpo import Call, Object, mtpo
from mtpo.spec.mtpo.model import aborted, accepts, author, holder, note, reads, saw, sighted, source, value


def redo_of_what_it_had_seen() -> Spec:
    """The protocol where a redo goes by what its author had seen, not by what there is."""
    redo = mtpo.actions["redone"]
    return with_actions(attrs.evolve(redo, updates=tuple(u for u in redo.updates if u.variable.name != "saw")))


WAIVED_EFFECT: Final = Weakened(
    "A predicate waives the change of what a call reads; if its redo goes by the old value too, its effect is wrong.",
    "without mtpo.redone.saw:=",
    redo_of_what_it_had_seen,
    "mtpo.effects-exact",
    lambda spec: mtpo_instance(2, 1, 1, spec=spec, predicates=True),
)


def waiving_failures() -> Spec:
    """The protocol where a predicate waives a change of what made a call fail, as it does any other."""
    settle = mtpo.actions["settle"]
    (c,) = cast(tuple[Call], settle.params)

    def stale(p: Call, o: Object) -> Bool:
        now = value(source(p, o), o)
        return reads(p, o) & (saw(p, o) != now) & ~(accepts(p, o, saw(p, o)) & accepts(p, o, now))

    def told(p: Call) -> Bool:
        return note(p) | (sighted(p) & ~aborted(author(p)) & exists(Object, lambda o: (holder(o) == c) & stale(p, o)))

    updates = (
        attrs.evolve(u, value=told(cast(Call, u.args[0]))) if u.variable.name == "note" else u for u in settle.updates
    )
    return with_actions(attrs.evolve(settle, updates=tuple(updates)))


WAIVED_FAILURE: Final = Weakened(
    "a1's call fails of what it read; a0 changes that, and as a1's predicate is true of both values it is not told.",
    "a predicate may waive a change of what made a call fail, in mtpo.settle.note:=",
    waiving_failures,
    "mtpo.failures-exact",
    lambda spec: mtpo_instance(2, 1, 1, spec=spec, predicates=True),
)


TOLD_OF_ANY_VALUE: Final = script(
    "a1's call fails of what x is; it accepts the value that a0 then writes, and is told all the same.",
    [(0, "", "x"), (1, "x", "x")],
    [
        *(("call", 2, NONE, X), ("failed", 2), ("settle", 2)),
        *act(1, X, (1,)),
        Holds({("saw", 2, 0): 0, ("note", 2): 1}),
        Refused.by(("finish", 1), "mtpo.finish.inbox-empty"),
        ("deliver", 1),
        Holds({("saw", 2, 0): 1}),
        *(("finish", 1), ("finish", 0), ("commit", 0), ("commit", 1)),
    ],
    objects="x",
    accepts={(2, 0, 0), (2, 0, 1)},
)
