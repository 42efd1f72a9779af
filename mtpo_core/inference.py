"""Where the text of a replayed mind goes: through a real engine, or through a counter that says that it is one.

The text is known in advance; the engine is made to emit it, token by token, so inference, KV growth and timing are
real. Time is counted in engine steps, so that runs repeat: which of two agents acts first does not depend on a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from mtpo_core.minds.base import Message


@attrs.frozen
class Generated:
    """One inference that ended: tokens read (not counting those in the cache) and written, first and last step."""

    agent: int
    prompt_tokens: int
    new_tokens: int
    steps: tuple[int, int]


class Inference(Protocol):
    """Generates the next message of each agent, all agents together, step by step."""

    name: str

    def begin(self, agent: int, messages: Sequence[Message], text: str) -> None:
        """Start generating ``text`` as the continuation of ``messages``, which extend those given before."""

    def advance(self) -> list[Generated]:
        """One step for everyone; returns the inferences that ended with it."""

    def stop(self, agent: int) -> Generated | None:
        """End an inference at once: its text is dropped, what was read before it is kept. None when there is none."""

    def close(self) -> None:
        """Release what the conversations hold."""


@attrs.define
class NoInference:
    """Counts steps and estimates tokens (4 characters each); generates nothing, and says so in the log."""

    name: str = "none (steps are counted, nothing is inferred)"
    step: int = 0
    _read: dict[int, int] = attrs.Factory(dict)
    _active: dict[int, tuple[int, int, int]] = attrs.Factory(dict)

    def begin(self, agent: int, messages: Sequence[Message], text: str) -> None:
        """See :class:`Inference`."""
        total = sum(len(message.text) for message in messages) // 4
        fresh = total - self._read.get(agent, 0)
        self._read[agent] = total + len(text) // 4
        self._active[agent] = (self.step, max(1, len(text) // 4), max(0, fresh))

    def advance(self) -> list[Generated]:
        """See :class:`Inference`."""
        self.step += 1
        ended = []
        for agent, (first, wanted, fresh) in sorted(self._active.items()):
            if self.step - first >= wanted:
                ended.append(Generated(agent, fresh, wanted, (first, self.step)))
        for generated in ended:
            del self._active[generated.agent]
        return ended

    def stop(self, agent: int) -> Generated | None:
        """See :class:`Inference`."""
        if agent not in self._active:
            return None
        first, wanted, fresh = self._active.pop(agent)
        self._read[agent] -= wanted
        return Generated(agent, fresh, self.step - first, (first, self.step))

    def close(self) -> None:
        """See :class:`Inference`."""
