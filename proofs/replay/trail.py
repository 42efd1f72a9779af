"""Steps that are taken for a look, and taken back."""

from __future__ import annotations

from collections.abc import Sequence

from mtpo.proofs.replay.numbering import Taken
from mtpo.proofs.replay.replay import Sparse

Cells = tuple[tuple[str, int, int], ...]
"""Cells of the state, by variable and place, with values."""


class Trail:
    """Steps that were taken and can be taken back, the last first."""

    def __init__(self, sparse: Sparse) -> None:
        self.sparse = sparse
        self._cells: list[Cells] = []

    def cells(self) -> Cells:
        """What the step that was taken last has changed, as it was."""
        spec = self.sparse.spec
        return tuple((name, at, int(old)) for name in spec.spec.variables for at, old in spec.changed(name).items())

    def go(self, step: Taken) -> None:
        """Take a step that is not refused."""
        self.sparse.perform(step)
        self._cells.append(self.cells())

    def back(self, steps: int = 1) -> None:
        """Take steps back."""
        for _ in range(steps):
            self.restore(self._cells.pop())

    def restore(self, cells: Cells) -> None:
        """Give cells the values that they had."""
        for name, at, old in cells:
            self.sparse.spec.define("", f"set_{name}")(at, old)

    def walk(self, path: Sequence[Taken]) -> bool:
        """Take steps one after the other; whether all may be taken, if not none is."""
        for taken, step in enumerate(path):
            if self.sparse.refused(step) is not None:
                self.back(taken)
                return False
            self.go(step)
        return True

    def now(self, changed: dict[tuple[str, int], int]) -> frozenset[tuple[str, int, int]]:
        """The state, as what is another value than it was; ``changed`` are cells with the values that they had."""
        spec, found = self.sparse.spec, set()
        for (name, at), old in changed.items():
            args, rest = list[int](), at
            for sort in reversed(spec.spec.variables[name].domain[1:]):
                rest, last = divmod(rest, spec.strides.get(sort, spec.sizes[sort]))  # type: ignore[index]
                args.insert(0, last)
            new = spec.value(name, rest, *args)
            if new != old:
                found.add((name, at, new))
        return frozenset(found)

    def since(self, steps: int) -> dict[tuple[str, int], int]:
        """The cells that the last steps have changed, with the values that they had before."""
        changed: dict[tuple[str, int], int] = {}
        for cells in self._cells[len(self._cells) - steps :]:
            for name, at, old in cells:
                changed.setdefault((name, at), old)
        return changed
