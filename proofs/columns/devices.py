"""PyTorch and CuPy as libraries of arrays for an exploration in columns: see :mod:`mtpo.proofs.columns.arrays`."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Final

import attrs
import numpy as np
import numpy.typing as npt

from mtpo.proofs.columns.arrays import CPU_LANES, Arrays, NoDevice
from mtpo.proofs.columns.columns import Columns
from mtpo.proofs.columns.cuda import THREADS, cuda_source, kernels

GPU_LANES: Final = 1 << 22
"""States that are expanded at once on a GPU, where many must be under way."""


@attrs.frozen
class Torch:
    """PyTorch: on a GPU where it has one, else on one core of the processor."""

    torch: Any
    device: str
    lanes: int
    note: str
    name: str = "torch"

    def fused(self, columns: Columns) -> Columns:
        return columns

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """On one core: others wait for each other at every one of many small operations, long where they are busy."""
        threads = self.torch.get_num_threads()
        self.torch.set_num_threads(1 if self.device == "cpu" else threads)
        try:
            yield
        finally:
            self.torch.set_num_threads(threads)

    def zeros(self, shape: tuple[int, ...], kind: str) -> Any:
        return self.torch.zeros(shape, dtype=getattr(self.torch, kind), device=self.device)

    def arange(self, count: int) -> Any:
        return self.torch.arange(count, device=self.device)

    def given(self, host: npt.NDArray[Any]) -> Any:
        return self.torch.from_numpy(np.ascontiguousarray(host)).to(self.device)

    def host(self, array: Any) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = array.cpu().numpy()
        return found

    def where(self, flags: Any) -> Any:
        return self.torch.nonzero(flags)[:, 0]

    def rows(self, array: Any, places: Any) -> Any:
        return self.torch.index_select(array, 0, places)

    def bytes_of(self, words: Any) -> Any:
        return words.view(self.torch.uint8)

    def bits_of(self, octets: Any) -> Any:
        places = self.torch.arange(8, dtype=self.torch.uint8, device=self.device)
        return self.where(((octets[:, None] >> places) & 1).reshape(-1))

    def claim(self, table: Any, slots: Any, values: Any) -> None:
        table[slots] = self.torch.iinfo(self.torch.int32).max
        table.scatter_reduce_(0, slots, values, "amin")

    def counts(self, values: Any, size: int) -> npt.NDArray[np.int64]:
        return self.host(self.torch.bincount(values, minlength=size))

    def narrow(self, array: Any) -> Any:
        return array.to(self.torch.int32)

    def wide(self, array: Any) -> Any:
        return array.to(self.torch.int64)


def torch_arrays() -> Arrays:
    """PyTorch on the GPU, or with a note on the processor."""
    torch = importlib.import_module("torch")
    if torch.cuda.is_available():
        return Torch(torch, "cuda", GPU_LANES, "")
    return Torch(torch, "cpu", CPU_LANES, "torch finds no GPU here: it runs on the processor, where numpy is faster")


@attrs.frozen
class Cupy:
    """CuPy, on the GPU that is current."""

    cupy: Any
    device: str
    lanes: int = GPU_LANES
    note: str = ""
    name: str = "cupy"

    def fused(self, columns: Columns) -> Columns:
        """Each function is one kernel, and all steps are one: launching a kernel for each gate would take longer."""
        module = self.cupy.RawModule(code=cuda_source(columns.gates))

        def launch(name: str, last: Any, *arrays: Any) -> None:
            count = last.shape[-1]
            blocks = -(-count // THREADS)
            module.get_function(name)((blocks,), (THREADS,), (*arrays, last, np.int64(count)))

        return kernels(columns, launch, self.given)

    def at_work(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def zeros(self, shape: tuple[int, ...], kind: str) -> Any:
        return self.cupy.zeros(shape, dtype=kind)

    def arange(self, count: int) -> Any:
        return self.cupy.arange(count, dtype=np.int64)

    def given(self, host: npt.NDArray[Any]) -> Any:
        return self.cupy.asarray(host)

    def host(self, array: Any) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = self.cupy.asnumpy(array)
        return found

    def where(self, flags: Any) -> Any:
        return self.cupy.flatnonzero(flags)

    def rows(self, array: Any, places: Any) -> Any:
        return array.take(places, axis=0)

    def bytes_of(self, words: Any) -> Any:
        return words.view(np.uint8)

    def bits_of(self, octets: Any) -> Any:
        return self.cupy.flatnonzero(self.cupy.unpackbits(octets, bitorder="little"))

    def claim(self, table: Any, slots: Any, values: Any) -> None:
        table[slots] = np.iinfo(np.int32).max
        self.cupy.minimum.at(table, slots, values)

    def counts(self, values: Any, size: int) -> npt.NDArray[np.int64]:
        return self.host(self.cupy.bincount(values, minlength=size))

    def narrow(self, array: Any) -> Any:
        return array.astype(np.int32)

    def wide(self, array: Any) -> Any:
        return array.astype(np.int64)


def cupy_arrays() -> Arrays:
    """CuPy on the first GPU. Raises :class:`NoDevice` where there is none."""
    advice = "choose --engine numpy, compiled, or torch, which runs without one"
    try:
        cupy = importlib.import_module("cupy")
    except ImportError as error:
        raise NoDevice(
            f"--engine cupy needs CuPy ({error}): pip install cupy-cuda12x, on a machine with a GPU; {advice}"
        ) from None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # noqa: BLE001 - whatever the driver says, it is that there is no GPU to use
        raise NoDevice(f"--engine cupy needs a GPU, and CuPy finds none ({error}); {advice}") from None
    if not count:
        raise NoDevice(f"--engine cupy needs a GPU, and there is none here; {advice}")
    return Cupy(cupy, f"cuda:{cupy.cuda.Device().id}")
