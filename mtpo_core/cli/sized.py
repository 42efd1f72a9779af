"""The instance of a spec that the options of ``mtpo explore`` mean."""

from __future__ import annotations

from typing import Any

import attrs

from mtpo_core.cli.common import plural, sizes_of, usage

MOST = 20
"""Elements of a sort, at most, where states are drawn and not listed."""


@attrs.frozen
class Sizes:
    """The options as they were given: the first five are mtpo's, ``size`` is that of all other specs."""

    agents: int | None
    calls: int | None
    objects: int | None
    faults: bool
    predicates: bool
    size: list[str] | None

    def check(self, spec: str) -> None:
        """Refuse what means nothing for a spec."""
        of_mtpo = {
            "--agents": self.agents,
            "--calls": self.calls,
            "--objects": self.objects,
            "--faults": self.faults or None,
            "--predicates": self.predicates or None,
        }
        for option, given in ({"--size": self.size or None} if spec == "mtpo" else of_mtpo).items():
            if given is not None:
                other = ", ".join(of_mtpo) if spec == "mtpo" else "--size, the number of elements of each sort"
                raise usage(f"{option} means nothing for {spec}: give {other}")

    def instance(self, one: Any, limit: int) -> tuple[Any, Any]:
        """The instance of a spec, and its initial states; serial begins where mtpo rests, of so many states of it."""
        from mtpo.proofs.exploration.instances import is_mtpo, is_serial, sizes_for, small_instance
        from mtpo.proofs.exploration.resting import serial_instance

        if is_mtpo(one):
            return self._of_mtpo(one)
        given = sizes_of(self.size, sizes_for(one))
        instance, roots = serial_instance(given, one, limit) if is_serial(one) else small_instance(one, given)
        self._check_taken(instance)
        return instance, roots

    def options(self) -> dict[str, Any]:
        """The options that a checkpoint of mtpo is of; another spec's sizes say what they were."""
        return {
            "--agents": self.agents or 2,
            "--calls": self.calls or 1,
            "--objects": self.objects or 2,
            "--faults": self.faults,
            "--predicates": self.predicates,
        }

    def _of_mtpo(self, one: Any) -> tuple[Any, Any]:
        from mtpo.proofs.exploration.instances import mtpo_instance

        agents, calls, objects, faults, predicates = self.options().values()
        return mtpo_instance(agents, calls, objects, spec=one, faults=faults, predicates=predicates)

    def _check_taken(self, instance: Any) -> None:
        """Refuse a size that an instance can't have: as in serial, where every agent has as many calls."""
        for sort, n in instance.sizes.items():
            wanted = [text for text in self.size or () if text.rpartition("=")[0] == sort.__name__]
            if wanted and wanted[-1] != f"{sort.__name__}={n}":
                others = ", ".join(f"{m} {other.__name__}" for other, m in instance.sizes.items() if other is not sort)
                raise usage(f"--size {wanted[-1]}: {instance.spec.name} has {sort.__name__}={n} with {others}")

    def drawn(self, one: Any) -> tuple[Any, Any]:
        """The instance of a spec, which may be larger than one to explore, and what draws its initial states."""
        from mtpo.proofs.exploration.instances import is_mtpo, sizes_for
        from mtpo.proofs.exploration.starts import drawing, large_instance

        if is_mtpo(one):
            instance, roots = self._of_mtpo(one)
        else:
            instance, roots = large_instance(one, sizes_of(self.size, sizes_for(one), MOST))
        return instance, drawing(instance, roots)


def extent_line(instance: Any, initial: int) -> str:
    """The name, the sizes, and how many initial states there are."""
    sizes = ", ".join(f"{n} {sort.__name__}" for sort, n in instance.sizes.items())
    return f"{instance.spec.name}: {sizes or 'no sorts'}; {plural(initial, 'initial state')}"
