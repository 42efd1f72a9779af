"""The protocol written once more for Spin has the states that the spec has."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import mtpo_instance


def load() -> ModuleType:
    path = Path(__file__).parents[2] / "bench" / "spin.py"
    found = importlib.util.spec_from_file_location("spin", path)
    assert found is not None and found.loader is not None
    module = sys.modules["spin"] = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


spin = load()


@pytest.mark.parametrize("objects", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_spin_finds_as_many_states(objects: int, tmp_path: Path) -> None:
    """Two agents, one call each: every footprint, both policies; Spin's first state has no footprints yet."""
    try:
        program = spin.protocol(objects, tmp_path, level="-O0")
    except spin.NoSpin as error:
        pytest.skip(str(error))
    ours = explore(*mtpo_instance(2, 1, objects), engine="numpy")
    assert ours.complete
    assert program.run().states == ours.states + 1
