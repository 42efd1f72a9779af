"""The lanes of a picture of a counterexample: whose there are, and who takes a step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs

from mtpo.proofs.verdicts import Trace, element
from mtpo.spec.concrete import Instance, State
from mtpo.spec.language import Function, Sort
from mtpo_core.view.shapes import Lane


@attrs.frozen
class Lanes:
    """Whose lanes there are: those of the elements of ``sort``; ``via`` finds them for elements of other sorts."""

    instance: Instance
    sort: type[Sort] | None
    via: dict[type[Any], Function[Any]]

    @classmethod
    def of(cls, instance: Instance) -> Lanes:
        spec = instance.spec
        named = [s for s in spec.sorts if s.__name__ == "Agent"]
        firsts = Counter(a.elements[0].sort for a in spec.actions.values() if a.elements)
        often = [sort for sort, _ in firsts.most_common() if issubclass(sort, Sort)]
        sort = next(iter(named or often), None)
        via = {f.domain[0]: f for f in spec.constants.values() if len(f.domain) == 1 and f.range is sort}
        return cls(instance, sort, via)

    def title(self, owners: Sequence[int | None]) -> str:
        """What the lanes stand for; empty where each is an agent's, which the page gives its rank."""
        if self.sort is None:
            return "Steps"
        if self.sort.__name__ == "Agent" and self.sort.ordered:
            return "Agents by rank" if None in owners else ""
        return f"Each {self.sort.__name__.lower()}"

    def owner(self, sort: type[Any], value: int, state: State) -> int | None:
        """The lane of an element, if it has one."""
        if sort is self.sort:
            return value
        if sort not in self.via:
            return None
        symbol = self.via[sort]
        table = self.instance.constants.get(symbol.name)
        place = self.instance.index(symbol, [value])
        return int(table[place] if table is not None else state[self.instance.offsets[symbol.name] + place])

    def taker(self, trace: Trace, number: int) -> int | None:
        """Who takes a step: its first parameter that has a lane, else who the state before it names."""
        step, before = trace.steps[number], trace.states[number]
        action = trace.instance.spec.actions[step.action]
        for param, arg in zip(action.params, step.args, strict=True):
            if not isinstance(param, Function) and isinstance(arg, int):
                found = self.owner(param.sort, arg, before)
                if found is not None:
                    return found
        for variable in trace.instance.spec.variables.values():
            if not variable.domain and not action.elements:
                found = self.owner(variable.range, trace.instance.value(before, variable.name), before)
                if found is not None:
                    return found
        return None

    def shown(self, owners: Sequence[int | None]) -> tuple[Lane, ...]:
        """A lane for each element, and one below for steps that none of them takes."""
        count = self.instance.size(self.sort) if self.sort else 0
        rows = [Lane(n, element(self.sort, n)) for n in range(count)] if self.sort else []
        if None in owners or not rows:
            rows.append(Lane(count, f"no {self.sort.__name__.lower()}" if self.sort else "everyone"))
        return tuple(rows)

    def row(self, owner: int | None) -> int:
        """The lane of an owner, or the last one."""
        if owner is not None:
            return owner
        return self.instance.size(self.sort) if self.sort else 0
