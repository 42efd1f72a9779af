"""How a picture speaks of agents and calls."""

from __future__ import annotations

from typing import Final

from mtpo_core.view.conflicts import Conflict
from mtpo_core.view.gather import Gathered
from mtpo_core.view.shapes import Link
from mtpo_core.view.texts import Values, clip

WITHDRAWN: Final = {
    "undone": "undone",
    "redone": "undone, then re-applied",
    "cancelled": "undone and withdrawn",
    "stranded": "undone; could not be re-applied",
    "retracted": "taken out",
}
"""The states of a call whose effect did not stay as it was, in words."""


class Names:
    """A gathered run, with words for its agents and calls and texts for its values."""

    def __init__(self, run: Gathered, values: Values) -> None:
        self.run = run
        self.values = values

    def who(self, rank: int) -> str:
        """The name of the agent of ``rank``."""
        agent = self.run.agents.get(rank)
        return clip(agent.name, 60) if agent else f"agent {rank}"

    def link(self, call: str | None) -> tuple[Link, ...]:
        """A link to a call, or nothing when the log does not have it."""
        if call is None or call not in self.run.calls:
            return ()
        return (Link(f"call:{call}", self.named(call)),)

    def named(self, call: str | None) -> str:
        """A call (or the initial value) in words."""
        if call is None:
            return "the initial value"
        known = self.run.calls.get(call)
        return f"{self.who(known.rank)} {call} {known.tool}" if known else f"call {call}"

    def order(self) -> str:
        """The serial order, ``A < B < C``."""
        names = [self.who(rank) for rank in sorted(self.run.agents)]
        return " < ".join(names if len(names) <= 6 else [*names[:3], "…", *names[-2:]])

    def conflict_text(self, edge: Conflict) -> str:
        """An edge of a cycle of conflicts as a sentence."""
        one, two, name = self.who(edge.first_rank), self.who(edge.second_rank), clip(edge.object, 80)
        return {
            "read before": f"{one} read {name} before {two} wrote it, so {one} comes first",
            "wrote before": f"{one} wrote {name} before {two} did, so {one} comes first",
            "read from": f"{two} read what {one} wrote to {name}, so {one} comes first",
        }[edge.reason]
