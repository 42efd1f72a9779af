"""The CUDA kernels, compiled as C and run thread by thread, take an exploration where NumPy takes it."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from mtpo.proofs.columns.arrays import Arrays, NoDevice, Numpy, arrays_of
from mtpo.proofs.columns.columnar import search_columns
from mtpo.proofs.columns.columns import Columns
from mtpo.proofs.columns.cuda import PREFIX, cuda_source, kernels
from mtpo.proofs.exploration.explore import Found
from mtpo.proofs.exploration.instances import every_instance, mtpo_instance
from mtpo.spec.concrete import Instance
from mtpo.spec.paged_kv import kv
from tests.spec import counter

SHIM = """
static struct { unsigned x; } blockIdx, blockDim, threadIdx;
#define RUN(call) for (threadIdx.x = 0; threadIdx.x < n; threadIdx.x++) call
"""

FACES = {
    "guards": "word *s, word *out, word n",
    "holds": "word *s, word *out, word n",
    "allows": "word *s, word *t, word *out, word n",
    "canonical": "word *t, word *out, word n",
    "steps": "word *s, word *t, int *whose, word *out, word n",
}


@attrs.frozen
class Emulated(Numpy):
    """NumPy, but for the kernels, which the processor runs one thread after the other."""

    folder: Path = Path()

    def fused(self, columns: Columns) -> Columns:
        text = SHIM + cuda_source(columns.gates).replace(PREFIX, "static ")
        for name, face in FACES.items():
            if name != "canonical" or columns.canonical is not None:
                names = ", ".join(part.split()[-1].lstrip("*") for part in face.split(","))
                text += f"void run_{name}({face}) {{ RUN({name}({names})); }}\n"
        source, library = self.folder / "kernels.c", self.folder / f"kernels{len(list(self.folder.iterdir()))}.so"
        source.write_text(text)
        command = ["gcc", "-O0", "-Wall", "-Werror", "-Wno-unused-variable", "-shared", "-fPIC"]
        subprocess.run([*command, "-o", str(library), str(source)], check=True)
        made = ctypes.CDLL(str(library))

        def launch(name: str, last: Any, *arrays: Any) -> None:
            given = (*arrays, last)
            assert all(array.flags.c_contiguous for array in given)
            pointers = [ctypes.c_void_p(array.ctypes.data) for array in given]
            made[f"run_{name}"](*pointers, ctypes.c_longlong(last.shape[-1]))

        return kernels(columns, launch, np.ascontiguousarray)


@pytest.fixture
def emulated(tmp_path: Path) -> Arrays:
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    return Emulated(folder=tmp_path)


def plainly(found: Found) -> Found:
    return attrs.evolve(found, bytes_per_state=None)


@pytest.mark.parametrize("symmetry", [False, True])
@pytest.mark.parametrize("case", ["counter", "kv", "mtpo"])
def test_kernels_find_what_arrays_find(case: str, symmetry: bool, emulated: Arrays) -> None:
    if case == "counter":  # whose integers need more bits than they have at first
        instance, roots = Instance(counter.counter, {counter.Process: 3}), None
    elif case == "kv":
        instance, roots = every_instance(kv, dict.fromkeys(kv.sorts, 2))
    else:
        instance, roots = mtpo_instance(2, 1, 1, faults=True)
    found = search_columns(instance, roots, limit=5000, arrays=emulated, lanes=600, symmetry=symmetry)
    plain = search_columns(instance, roots, limit=5000, arrays=arrays_of("numpy"), lanes=600, symmetry=symmetry)
    assert plainly(found) == plainly(plain)
    assert found.states > 20


def test_the_kernels_run_on_a_gpu() -> None:
    try:
        arrays = arrays_of("cupy")
    except (NoDevice, ModuleNotFoundError) as error:
        pytest.skip(str(error))
    found = search_columns(Instance(counter.counter, {counter.Process: 4}), limit=10**9, arrays=arrays)
    assert (found.states, found.transitions, found.depth) == (2_986_377, 8_106_620, 24)
