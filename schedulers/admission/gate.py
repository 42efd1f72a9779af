"""Who may go on under an admission decision: the mechanism below every admission policy.

Each agent is pending, generating, using tools, paused, or done (CONCUR, arXiv 2601.22705, section on primitives). It is
paused at a boundary only, when it asks for its next generation step: a step that was submitted is never ended, and what
a paused agent knows is left alone. No clock, no I/O; every call returns the agents whose next step is to be submitted
now, each once, in order.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from mtpo.schedulers.types import AdmissionDecision

A = TypeVar("A", bound=Hashable)


class Stage(enum.Enum):
    """Where an agent is."""

    PENDING = "pending"
    GENERATING = "generating"
    TOOL = "tool"
    PAUSED = "paused"
    DONE = "done"


class GateError(ValueError):
    """A transition that the agent's stage does not allow; says which agent, its stage, and the call."""


class Gate(Generic[A]):
    """Keeps the admitted agents within the limit of the last decision.

    Paused agents are resumed before pending ones are admitted, each kind in the order in which they came to wait; under
    a limit of requests, all in the order in which they came to wait.
    """

    def __init__(self, decision: AdmissionDecision | None = None) -> None:
        self._decision = decision or AdmissionDecision(None)
        self._stage: dict[A, Stage] = {}
        self._admitted: OrderedDict[A, None] = OrderedDict()  # oldest first
        self._paused: OrderedDict[A, None] = OrderedDict()
        self._pending: OrderedDict[A, None] = OrderedDict()
        self._marked: set[A] = set()
        self._generating = 0

    @property
    def active(self) -> int:
        """Agents that are admitted; under a limit of requests, those that generate."""
        return len(self._admitted)

    @property
    def requests(self) -> int:
        """Agents that have a step in the engine."""
        return self._generating

    @property
    def waiting(self) -> int:
        """Agents that want to be admitted or resumed."""
        return len(self._paused) + len(self._pending)

    @property
    def limit(self) -> int | None:
        """Of the last decision."""
        return self._decision.limit

    @property
    def unlocks(self) -> bool:
        """Of the last decision."""
        return self._decision.unlocks

    @property
    def line(self) -> tuple[A, ...]:
        """Agents that want to be admitted or resumed, in the order in which they will be."""
        return (*self._paused, *self._pending)

    def stage(self, agent: A) -> Stage:
        """Where an agent is. Raises :class:`KeyError` for one that never came."""
        return self._stage[agent]

    def ready(self, agent: A) -> tuple[A, ...]:
        """An agent asks for its next generation step: its first one, or at a boundary."""
        stage = self._stage.get(agent)
        if stage not in (None, Stage.TOOL):
            raise self._wrong(agent, "ready")
        if agent in self._admitted:
            if not self._over(agent):
                return (self._submit(agent),)
            del self._admitted[agent]
            self._marked.discard(agent)
        self._stage[agent] = Stage.PENDING if stage is None else Stage.PAUSED
        # Under a limit of requests all of them wait in one line.
        queue = self._pending if stage is None or self._decision.per_request else self._paused
        queue[agent] = None
        return self._fill()

    def ended(self, agent: A) -> tuple[A, ...]:
        """A generation step is over and its agent turns to its tools."""
        if self._stage.get(agent) is not Stage.GENERATING:
            raise self._wrong(agent, "ended")
        self._stage[agent] = Stage.TOOL
        self._generating -= 1
        if self._decision.per_request:
            del self._admitted[agent]
        return self._fill()

    def pass_by(self, agent: A) -> tuple[A, ...]:
        """An agent of :attr:`line` goes on whatever the limit."""
        for queue in (self._paused, self._pending):
            if agent in queue:
                del queue[agent]
                return (self._submit(agent),)
        raise self._wrong(agent, "pass_by")

    def done(self, agent: A) -> tuple[A, ...]:
        """An agent has finished, after a step or after its tools; or it gave up while it waited."""
        stage = self._stage.get(agent)
        if stage in (None, Stage.DONE):
            raise self._wrong(agent, "done")
        if stage is Stage.GENERATING:
            self._generating -= 1
        self._stage[agent] = Stage.DONE
        self._admitted.pop(agent, None)
        self._paused.pop(agent, None)
        self._pending.pop(agent, None)
        self._marked.discard(agent)
        self._mark()
        return self._fill()

    def obey(self, decision: AdmissionDecision) -> tuple[A, ...]:
        """A new decision. Whether agents or requests are limited can't change while there are agents under way."""
        if decision.per_request != self._decision.per_request:
            if self._admitted or self.waiting:
                raise GateError("an admission policy can't change between limits of agents and of requests at work")
            self._marked.clear()
        self._decision = decision
        self._mark()
        return self._fill()

    def _over(self, agent: A) -> bool:
        limit = self._decision.limit
        if limit is None or len(self._admitted) <= limit:
            return False
        return not self._decision.youngest_first or agent in self._marked

    def _mark(self) -> None:
        """Under youngest-first: those admitted last, as many as are over the limit, are to be paused."""
        limit = self._decision.limit
        self._marked.clear()
        if self._decision.youngest_first and limit is not None and len(self._admitted) > limit:
            youngest = reversed(self._admitted)
            self._marked.update(next(youngest) for _ in range(len(self._admitted) - limit))

    def _submit(self, agent: A) -> A:
        self._stage[agent] = Stage.GENERATING
        self._admitted.setdefault(agent, None)
        self._generating += 1
        return agent

    def _fill(self) -> tuple[A, ...]:
        limit, out = self._decision.limit, []
        while (self._paused or self._pending) and (limit is None or len(self._admitted) < limit):
            queue = self._paused or self._pending
            out.append(self._submit(queue.popitem(last=False)[0]))
        return tuple(out)

    def _wrong(self, agent: A, call: str) -> GateError:
        stage = self._stage.get(agent)
        return GateError(f"agent {agent!r} is {stage.value if stage else 'unknown'}: no {call}()")
