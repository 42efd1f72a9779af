"""How an instance is explored for ``mtpo explore``: by which engine, in how many parts, and what is saved of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import attrs

from mtpo_core.cli.common import err, frontier, note, plural, usage

SMALL: Final = 20_000
"""States up to which the automatic choice is the python engine: a second or two."""

WIDE: Final = 200
"""States a level, of those SMALL ones, from which on columns are faster."""

_PARTED: Final = ("auto", "python", "numpy")
"""The engines that explore in parts."""

Tell = Callable[[str], None]


@attrs.frozen
class Way:
    """The options that say how to explore; ``engine`` may be ``auto``. Refused is what does not go together."""

    engine: str
    limit: int
    symmetry: bool
    jobs: int | None
    checkpoint: Path | None
    every: float
    resume: bool

    def __attrs_post_init__(self) -> None:
        if self.resume and self.checkpoint is None:
            raise usage("--resume goes on from a checkpoint: give its folder, --checkpoint DIR")
        if self.checkpoint is not None and self.engine == "python":
            raise usage("--checkpoint is not for --engine python: choose numpy, torch, cupy or compiled")
        if self.jobs is not None and self.engine not in _PARTED:
            raise usage(f"--jobs is not for --engine {self.engine}: parts are explored by numpy or python")
        if self.engine in ("numpy", "torch", "cupy"):
            from mtpo.proofs.columns.arrays import arrays_of

            if said := arrays_of(self.engine).note:
                err.print(said)

    def saved(self, instance: Any, options: dict[str, Any]) -> Any:
        """The checkpoint to save to and go on from: of parts, or of one piece, as it was begun; None without.
        ``options``: those that say which instance of mtpo it is."""
        from mtpo.proofs.exploration.checkpoint import MANIFEST, Checkpoint
        from mtpo.proofs.exploration.instances import is_mtpo
        from mtpo.proofs.parts.partsaved import FILE, PartsSaved

        if self.checkpoint is None:
            return None
        folder = self.checkpoint / instance.spec.name
        whole, parts = (folder / MANIFEST).exists(), (folder / FILE).exists()
        if self.resume and not whole and not parts:
            raise usage(f"{folder}: holds no checkpoint to resume; leave out --resume to begin")
        if whole and (self.jobs or 1) > 1:
            raise usage(f"{folder}: holds a checkpoint of one piece: leave out --jobs, or name another folder")
        if parts and not self._parted(instance):
            raise usage(f"{folder}: holds a checkpoint of parts: give --engine numpy, or name another folder")
        make = PartsSaved if self._parted(instance) and not whole else Checkpoint
        return make(folder, self.resume, self.every, options=options if is_mtpo(instance.spec) else {})

    def explore(self, instance: Any, initial: Any, saved: Any, tell: Tell) -> Any:
        """The exploration. Raises what engines do."""
        from mtpo.proofs.exploration.checkpoint import Checkpoint

        if saved is not None:
            tell = _with_what_failed(tell, saved)
        if self.engine == "auto" and not self.symmetry and self.jobs is None and saved is None:
            return self._by_size(instance, initial, tell)
        engine = "numpy" if self.engine == "auto" else self.engine
        if not self._parted(instance) or isinstance(saved, Checkpoint):
            if (self.jobs or 1) > 1:
                note(
                    f"{instance.spec.name}: all states have the same constants, so that there is one part: one process"
                )
            return self._whole(instance, initial, tell, engine, saved)
        return self._parts(instance, initial, tell, engine, saved)

    def _parted(self, instance: Any) -> bool:
        """Whether it is explored in parts: where states have constants of their own, which can't meet, and it is asked
        for, or the spec is mtpo, whose parts are many and have an end."""
        from mtpo.proofs.exploration.instances import is_mtpo

        if not instance.open or self.engine not in _PARTED:
            return False
        return self.jobs is not None or (is_mtpo(instance.spec) and self.engine != "python")

    def _by_size(self, instance: Any, initial: Any, tell: Tell) -> Any:
        """By python where there are few states, or many that lie one after another; else in columns."""
        from mtpo.spec.concrete import InstanceError

        found = None
        with contextlib.suppress(InstanceError):  # too large for python, maybe not for columns
            found = attrs.evolve(self, limit=min(self.limit, SMALL))._whole(instance, initial, tell, "python")
            if found.complete or self.limit <= SMALL or any(v.trace for v in found.verdicts):
                return found
            if found.transitions and found.states < WIDE * (found.depth + 1):
                return self._whole(instance, initial, tell, "python")
        try:
            how = self._parts if self._parted(instance) else self._whole
            return how(instance, initial, tell, "numpy")
        except InstanceError:
            if found is None:
                raise
            return self._whole(instance, initial, tell, "python")

    def _parts(self, instance: Any, initial: Any, tell: Tell, engine: str, saved: Any = None) -> Any:
        from mtpo.proofs.parts.parts import explore_in_parts

        total = None if self.symmetry else self._total(instance)
        return explore_in_parts(
            instance,
            initial,
            limit=self.limit,
            engine=engine,  # type: ignore[arg-type]
            symmetry=self.symmetry,
            jobs=self.jobs,
            checkpoint=saved,
            progress=lambda told: tell(told.text(total)),
        )

    def _total(self, instance: Any) -> int | None:
        """How many first states there are, of mtpo; of other specs they are made to be counted."""
        from mtpo.proofs.exploration.instances import is_mtpo
        from mtpo.proofs.exploration.starts import footprints

        return footprints(instance, renamed=True) if is_mtpo(instance.spec) else None

    def _whole(self, instance: Any, initial: Any, tell: Tell, engine: str, saved: Any = None) -> Any:
        from mtpo.proofs.exploration.explore import explore

        return explore(
            instance,
            initial,
            limit=self.limit,
            engine=engine,  # type: ignore[arg-type]
            symmetry=self.symmetry,
            checkpoint=saved,
            progress=frontier(tell),
        )


@contextlib.contextmanager
def saying_what_is_saved(checkpoint: Any) -> Iterator[None]:
    """An interrupt says what a checkpoint holds; and a saving that failed is told in any case."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if checkpoint is None:
            raise
        saved = f"{plural(checkpoint.saved, 'state')} saved in {checkpoint.folder}, go on with --resume"
        saved = saved if checkpoint.saved else "nothing saved yet"
        saved += f"; {checkpoint.failed}" if checkpoint.failed not in str(stop) else ""
        raise KeyboardInterrupt(f"{stop} ({saved})") from None
    if checkpoint is not None and checkpoint.failed:
        note(f"mtpo: not saved, the verdict stands: {checkpoint.failed}")


def _with_what_failed(tell: Tell, saved: Any) -> Tell:
    """What tells how far it is tells that the last saving failed, too."""
    return lambda text: tell(f"{text}; not saved: {saved.failed}" if saved.failed else text)


def engine_of(name: str | None, compiled: bool, symmetry: bool) -> str:
    """The engine that the options mean."""
    from mtpo.proofs.exploration.explore import ENGINES

    if name is not None and name not in ("auto", *ENGINES):
        raise usage(f"--engine {name}: unknown; known: auto, {', '.join(ENGINES)}")
    if compiled and name not in (None, "compiled"):
        raise usage(f"--compiled is --engine compiled: leave it out with --engine {name}")
    if symmetry and name == "python":
        raise usage("--symmetry is not for --engine python: choose compiled, numpy, torch or cupy")
    return name or ("compiled" if compiled else "auto")
