"""Exhaustive exploration beside Spin: distinct states a second, on the read-modify-write counter and on MTPO.

Both models were written once more for Spin, and both find the same states: 2,986,377 of the counter, 244,014 of MTPO (2
agents with 1 call each on 2 objects, every footprint, both policies). Ours checks every property at each state and each
step; Spin asserts one. Rates are those of the search alone, on one core; what it takes to make the program, ours and
Spin's, is a figure of its own. Both models are too small for several cores to pay; what these are good for is measured
on a larger one, which Spin has not, against one core. Engines that need a GPU are left out where there is none.
"""

from __future__ import annotations

import functools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs
from measure import Figure, alternate

from mtpo.proofs.children import processes
from mtpo.proofs.columns import batches
from mtpo.proofs.columns.arrays import Arrays, NoDevice, arrays_of
from mtpo.proofs.columns.columns import columns_of
from mtpo.proofs.exploration import search
from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import mtpo_instance
from mtpo.proofs.exploration.kernel import compile_kernel
from mtpo.proofs.exploration.kernelcache import keep
from mtpo.proofs.exploration.packing import Packing
from mtpo.proofs.exploration.rows import roots_of
from mtpo.proofs.exploration.symmetry import symmetry_of
from mtpo.proofs.parts.parts import explore_in_parts
from mtpo.spec.concrete import Instance, State

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "spec")]

from counter import Process, counter  # noqa: E402
from spin import NoSpin, Program, program, protocol  # noqa: E402

COUNTER, PROTOCOL = 2_986_377, 244_014
ROUNDS = 3
NO_LIMIT = 10**9

GPU_GOAL = 100.0
"""Times Spin's single core."""


@attrs.frozen(eq=False)
class Model:
    """An instance to be explored; ``spin`` makes the same for Spin, which finds ``more`` states."""

    name: str
    instance: Instance
    roots: Iterable[State] | None
    states: int
    spin: Callable[[Path], Program]
    more: int

    def packed(self) -> tuple[Packing, Any]:
        """The layout of its states, and the initial ones, as cells."""
        return Packing(self.instance), roots_of(self.instance, self.roots, NO_LIMIT, lambda states, left: None).table


def figures(tell: Callable[[str], None]) -> list[Figure]:
    """The figures of this benchmark."""
    models = [
        Model("counter", Instance(counter, {Process: 4}), None, COUNTER, functools.partial(program, "counter.pml"), 0),
        Model("mtpo", *mtpo_instance(2, 1, 2), PROTOCOL, functools.partial(protocol, 2), 1),
    ]
    found = [figure for model in models for figure in _compared(model, tell)]
    return [*found, *_symmetry(models[0], tell), _plain(models[1], tell), _parts(tell)]


def _compared(model: Model, tell: Callable[[str], None]) -> list[Figure]:
    """Every engine that runs here, and Spin, in turns."""
    libraries, absent = list[Arrays](), dict[str, str]()
    for name in ("numpy", "torch", "cupy"):
        try:
            libraries.append(arrays_of(name))
        except (NoDevice, ModuleNotFoundError) as error:
            absent[name] = str(error)
    packing, roots = model.packed()
    tell(f"{model.name}, making programs")
    start = time.perf_counter()
    columns = columns_of(packing)
    made = time.perf_counter() - start
    programs = {library.name: library.fused(columns) for library in libraries}
    kernel = compile_kernel(model.instance)
    size = dict[str, float]()

    def arrays(library: Arrays) -> float:
        tell(f"{model.name}, {library.name}")
        with library.at_work():
            start = time.perf_counter()
            found = batches.new_batches(programs[library.name], library, packing.pack(roots))
            batches.run(found, NO_LIMIT, lambda states, left: None)
            seconds = time.perf_counter() - start
        assert (found.count, found.bad) == (model.states, None)
        size[library.name] = found.bytes_per_state
        return model.states / seconds

    def compiled() -> float:
        tell(f"{model.name}, compiled")
        start = time.perf_counter()
        found = search.new_search(kernel, roots)
        search.run(found, NO_LIMIT, lambda states, left: None)
        seconds = time.perf_counter() - start
        assert found.count == model.states
        size["compiled"] = found.bytes_per_state
        return model.states / seconds

    compiled()  # its machine code is made, or read, before it is measured
    keep(kernel.code)
    runs = [*((lambda one=one: arrays(one)) for one in libraries), compiled]  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        why, peer, making = "", None, None
        try:
            peer = model.spin(Path(folder))
            making = peer.seconds
        except NoSpin as error:
            why = str(error)

        def spin() -> float:
            tell(f"{model.name}, spin")
            assert peer is not None
            found = peer.run()
            assert found.states == model.states + model.more
            return model.states / found.seconds

        rates = alternate(ROUNDS, *runs, *([spin] if peer else []))
    against = rates[len(runs)] if peer else None
    out = []
    for library, rate in zip(libraries, rates, strict=False):
        where = "one core" if library.device == "cpu" else "GPU"
        goal = {"numpy": 1.0}.get(library.name) if library.device == "cpu" else GPU_GOAL
        measure = f"{model.name}: distinct states per second, {library.name}, {where}, against Spin"
        out.append(Figure(measure, rate, against, goal, why=why))
    for name, reason in absent.items():
        measure = f"{model.name}: distinct states per second, {name}, against Spin: not measured"
        out.append(Figure(measure, 0.0, None, GPU_GOAL, why=reason))
    measure = f"{model.name}: distinct states per second, compiled, one core, against Spin"
    out.append(Figure(measure, rates[len(libraries)], against, why=why))
    out += [Figure(f"{model.name}: bytes per state, {name}", each, None, 32, more=False) for name, each in size.items()]
    measure = f"{model.name}: seconds to make the program, numpy, against Spin and gcc"
    return [*out, Figure(measure, made, making, more=False, why=why)]


def _symmetry(model: Model, tell: Callable[[str], None]) -> list[Figure]:
    """What is left of the counter by symmetry, and how long that takes."""
    tell(f"{model.name}, symmetry")
    packing, roots = model.packed()
    columns = columns_of(packing, symmetry_of(model.instance))

    def reduced() -> float:
        start = time.perf_counter()
        found = batches.new_batches(columns, arrays_of("numpy"), packing.pack(roots))
        batches.run(found, NO_LIMIT, lambda states, left: None)
        states.append(found.count)
        return time.perf_counter() - start

    states = list[int]()
    (seconds,) = alternate(ROUNDS, reduced)
    return [
        Figure(f"{model.name}: states with symmetry, of all", states[0], model.states, 1 / 21, more=False),
        Figure(f"{model.name}: seconds with symmetry, numpy", seconds, None),
    ]


def _plain(model: Model, tell: Callable[[str], None]) -> Figure:
    """The whole verb's work, verdicts and all, against the plain interpretation."""

    def rate(engine: Any) -> float:
        tell(f"{model.name}, {engine}, all of it")
        return model.states / explore(model.instance, model.roots, engine=engine).seconds

    ours, peer = alternate(ROUNDS, lambda: rate("numpy"), lambda: rate("python"))
    name = f"{model.name}: distinct states per second, numpy, making and roots included, against python"
    return Figure(name, ours, peer)


def _parts(tell: Callable[[str], None]) -> Figure:
    """What several cores are good for: three agents, in parts, making and roots included; a minute on one core."""
    instance, roots = mtpo_instance(3, 1, 2)
    cores, states = max(1, processes()), set[int]()

    def rate(jobs: int) -> float:
        tell(f"mtpo of three agents, in parts, {jobs} at a time")
        found = explore_in_parts(instance, roots, limit=NO_LIMIT, jobs=jobs)
        assert found.complete
        states.add(found.states)
        return found.states / found.seconds

    ours, one = alternate(1, lambda: rate(cores), lambda: rate(1))
    (count,) = states
    measure = f"mtpo, 3 agents, {count:,} states: states per second in parts on {cores} cores, against one"
    return Figure(measure, ours, one)
