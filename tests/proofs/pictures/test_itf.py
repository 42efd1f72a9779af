"""Traces in ITF: read back by the library that reads those of Apalache and Quint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mtpo.proofs.exploration.explore import explore
from mtpo.proofs.exploration.instances import every_instance
from mtpo.proofs.induction.inductive import prove
from mtpo.proofs.pictures.itf import itf_of, write_itf
from mtpo.proofs.verdicts import Trace
from mtpo.spec.language import Spec

itf_py: Any = pytest.importorskip("itf_py", reason="needs the extra `dev`")


@pytest.fixture
def trace(broken_lock: Spec) -> Trace:
    (process,) = broken_lock.sorts
    found = explore(*every_instance(broken_lock, {process: 2})).verdicts[0].trace
    assert found is not None
    return found


def test_a_trace_is_read_back_state_by_state(trace: Trace) -> None:
    data = json.loads(json.dumps(itf_of(trace, "two inside")))
    read = itf_py.trace_from_json(data)
    assert read.vars == ["holds", "mbt::actionTaken", "mbt::nondetPicks"]
    assert read.meta["source"] == "lock"
    assert read.meta["description"] == "two inside"
    assert len(read.states) == 3
    inside = [sorted(p for p, held in dict(state.values["holds"]).items() if held) for state in read.states]
    assert inside == [[], ["process0"], ["process0", "process1"]]
    assert [state.values["mbt::actionTaken"] for state in read.states] == ["init", "acquire", "acquire"]
    assert data["states"][2]["mbt::nondetPicks"] == {"p": {"tag": "Some", "value": "process1"}}
    assert itf_py.trace_to_json(read)["states"][1]["holds"] == data["states"][1]["holds"]


def test_a_step_that_induction_found_says_so(broken_lock: Spec, tmp_path: Path) -> None:
    verdicts = prove(broken_lock)
    paths = {path.name: path for path in write_itf(verdicts, tmp_path / "out")}
    assert paths.keys() == {f"{v.property}.itf.json" for v in verdicts if v.trace is not None}
    path = paths["lock.exclusion.itf.json"]
    data = json.loads(path.read_text())
    assert data["#meta"]["first-state"].startswith("allowed by every property")
    assert [state["mbt::actionTaken"] for state in data["states"]] == ["init", "acquire"]
    assert itf_py.trace_from_json(data).states


def test_functions_of_several_arguments_and_constants_are_maps(tmp_path: Path) -> None:
    from mtpo.proofs.exploration.instances import mtpo_instance

    instance, roots = mtpo_instance(2, 1, 1)
    state = next(iter(roots))
    data = itf_of(Trace(instance, (state,), ()))
    assert data["params"] == list(instance.spec.constants)
    first = data["states"][0]
    assert first["origin"] == "call0"
    assert first["author"] == {"#map": [["call0", "agent0"], ["call1", "agent0"], ["call2", "agent1"]]}
    assert first["reads"]["#map"][0] == [{"#tup": ["call0", "object0"]}, False]
    assert itf_py.trace_from_json(json.loads(json.dumps(data))).params == list(instance.spec.constants)
