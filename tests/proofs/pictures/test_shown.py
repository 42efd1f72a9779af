"""Which verdicts have a run to show: those that violate, and those that refute what must be refuted."""

from __future__ import annotations

import attrs
import pytest

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import every_instance
from mtpo.proofs.exploration.refuted import with_refuting_runs
from mtpo.proofs.pictures.itf import write_itf
from mtpo.proofs.pictures.picture import timeline_of
from mtpo.proofs.pictures.shown import kinds_of, pictures_of, refutes, run_of, why_lines
from mtpo.proofs.verdicts import Status, Verdict
from mtpo.spec.language import Bool, Sort, Spec, exists, forall, implies, require


class Guest(Sort):
    "a guest"


def door(*, wide: bool) -> Spec:
    """Guests go in one after the other, or where it is not wide one alone."""
    spec = Spec("door")
    inside = spec.var("inside", Guest, init=lambda g: False)

    @spec.action
    def enter(g: Guest) -> None:
        require("free", ~inside(g) if wide else ~exists(Guest, lambda h: inside(h)))
        inside[g] = True

    @spec.invariant("door.room")
    def room() -> Bool:
        "Somebody is outside."
        return exists(Guest, lambda g: ~inside(g))

    @spec.refuted("door.alone")
    def alone() -> Bool:
        "At most one guest is inside."
        return forall(Guest, Guest, lambda g, h: implies(inside(g) & inside(h), g == h))

    @spec.refuted("door.stays")
    def stays() -> Bool:
        "Who is outside stays there."
        return forall(Guest, lambda g: implies(~inside(g), ~inside.next(g)))

    return spec


def verdicts(wide: bool) -> dict[str, Verdict]:
    instance, initial = every_instance(door(wide=wide), {Guest: 3})
    return {v.property: v for v in with_refuting_runs(explore(instance, initial), initial).verdicts}


def test_violating_and_refuting_runs_are_shown_each_as_what_it_is() -> None:
    found = verdicts(True)
    assert [refutes(v) for v in found.values()] == [False, True, True]
    cases = {case.property: timeline_of(case).verdict for case in pictures_of(found.values())}
    assert {id: line.tone for id, line in cases.items()} == {
        "door.room": "bad",
        "door.alone": "good",
        "door.stays": "good",
    }
    assert cases["door.room"].sentence == "door.room is violated. Somebody is outside."
    assert cases["door.stays"].sentence == "door.stays is refuted, as it must be. Who is outside stays there."
    run = run_of(found["door.alone"])
    assert run is not None and len(run.steps) == 2
    told = why_lines(found["door.alone"], run)
    assert told[0].startswith("false: forall g: Guest, h: Guest.") and told[1] == "for g = guest0, h = guest1"
    assert cases["door.alone"].reasons[-1] == f"  {told[2]}"
    assert kinds_of([*found.values()]) == "what is violated and what is refuted, as it must be"


def test_a_claim_that_was_not_refuted_has_no_run() -> None:
    found = verdicts(False)
    failed = found["door.alone"]
    assert (failed.status, run_of(failed), refutes(failed)) == (Status.FAILED, None, False)
    assert pictures_of([failed]) == [] and kinds_of([failed]) == "what is violated"
    assert kinds_of([failed, found["door.stays"]]) == "what is refuted, as it must be"


@pytest.mark.parametrize("status", [Status.PROVED, Status.SAMPLED, Status.UNKNOWN])
def test_of_no_other_verdict_a_run_is_shown(status: Status, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = [attrs.evolve(v, status=status) for v in verdicts(True).values()]
    folder = tmp_path_factory.mktemp("shown") / "runs"
    assert pictures_of(other) == [] and write_itf(other, folder) == [] and not folder.exists()
