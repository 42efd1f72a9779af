"""The machine refines the spec: both are driven side by side, and compared after every event.

A plan fixes the universe (``plans``). A :class:`Pair` is the machine and an instance of the spec on that plan
(``sides``). Each event of the machine is one or several steps of the spec (``steps``); each step's guard must hold, and
the abstraction of the machine's state must be the spec's state. What the machine refuses the spec must refuse too
(``comparison``). What may happen, must come to nothing or must be refused is said in ``moves``; ``exploration`` tries
every interleaving of a plan, ``driving`` follows a tape of choices.
"""

from __future__ import annotations

from mtpo.proofs.refinement.comparison import (
    check_asked,
    check_delivery,
    check_effects,
    check_least,
    check_refusal,
    compare,
)
from mtpo.proofs.refinement.sides import Divergence, Sides
from mtpo.proofs.refinement.steps import steps_of
from mtpo_core import machine as m
from mtpo_core.machine import Effect, Event, MachineError


class Pair(Sides):
    """Both sides, event by event."""

    def step(self, event: Event) -> list[Effect]:
        """Take one of the moves on both sides; :class:`Divergence` if they part."""
        self.trace = (*self.trace, event)
        noted = self.noted()
        try:
            effects = self.machine.step(event)
        except Exception as error:  # noqa: BLE001 - whatever it raises, it should not
            raise Divergence(getattr(error, "clause", "core.total"), f"it raised {error!r}", self.trace) from None
        for effect in effects:
            check_asked(self, effect)
        if isinstance(event, m.Abort):
            self.sent = {**self.sent, event.agent: ()}
        for step in steps_of(self, event, effects):
            refused = self.instance.refused(self.state, step)
            if refused:
                raise Divergence(refused[0].id, f"{step.action}{step.args} is no step of the spec", self.trace)
            if step.action == "retract":  # perhaps one of several of an abort, each after the one before is settled
                taken = next(e for e in effects if isinstance(e, m.Retracting))
                check_least(self, taken.call, taken.members, retracting=True)
            if step.action == "deliver":
                check_delivery(self, next(e for e in effects if isinstance(e, m.Delivered)))
            self.instance.perform(self.state, step)
        if not isinstance(event, m.Launch):  # which may come in the middle of a repair, and leaves it where it is
            last = effects[-1] if effects else None
            self.waiting = last if isinstance(last, m.Undo | m.Exec | m.Redo) else None
        asks = (self.waiting is not None) == (self.machine.repair is not None)
        self.check(asks, "mtpo.repair-ends", f"repair {self.machine.repair}, and {self.waiting} is asked for")
        compare(self)
        check_effects(self, effects, noted)
        return effects

    def hold_off(self, *events: Event) -> None:
        """Try some of what is futile: none may come to anything. What they left is compared by :meth:`refuse`."""
        for event in events:
            self.trace = (*self.trace, event)
            effects = self.machine.step(event)
            for effect in effects:
                check_asked(self, effect)
            vain = all(isinstance(effect, m.Bounced) for effect in effects)
            self.check(vain, "core.refuses", f"it came to something: {effects}")

    def refuse(self, *events: Event) -> None:
        """Try some of what is forbidden: both sides must refuse each, and nothing may change."""
        for event in events:
            self.trace = (*self.trace, event)
            try:
                effects = self.machine.step(event)
            except MachineError as error:
                check_refusal(self, event, error)
            else:
                raise Divergence("core.refuses", f"it was taken, with the effects {effects}", self.trace)
        compare(self)
