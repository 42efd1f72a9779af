"""The verb ``explore``: which engine, in how many parts, of which footprints."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Mtpo = Callable[..., Any]


# -- which engine, in how many parts -----------------------------------------------------------------------------------


def test_a_small_instance_is_left_to_python_and_a_large_one_goes_on_in_columns(
    mtpo: Mtpo, lock_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mtpo_core.cli.exploring as exploring

    assert " states/s; python), complete" in mtpo("explore", lock_path).out
    one = mtpo("explore", "mtpo", "--objects", 1, "--json").json["explorations"][0]
    monkeypatch.setattr(exploring, "SMALL", 5_000)
    other = mtpo("explore", "mtpo", "--objects", 1, "--json").json["explorations"][0]
    assert (one["engine"], other["engine"], other["parts"], other["jobs"]) == ("python", "numpy", 1, 1)
    same = ("initial_states", "states", "transitions", "depth", "complete", "actions", "verdicts")
    assert [one[k] for k in same] == [other[k] for k in same]
    assert " states/s; numpy), complete" in mtpo("explore", "mtpo", "--objects", 1).out


def test_states_one_after_another_are_left_to_python(
    mtpo: Mtpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A counter has one state a level, for which columns are of no use."""
    import mtpo_core.cli.exploring as exploring

    monkeypatch.setattr(exploring, "SMALL", 100)
    path = tmp_path / "count.py"
    path.write_text(
        "from mtpo.spec.language import Int, Spec, require\ncount = Spec('count')\n"
        "n = count.var('n', to=Int, init=lambda: 0)\n@count.action\ndef step() -> None:\n"
        "    require('bound', n() < 700)\n    n.becomes(n() + 1)\n"
        "count.invariant('count.small')(lambda: n() < 701)\n"
    )
    said = mtpo("explore", path)
    assert said.code == 0 and "701 states" in said.out and "; python), complete" in said.out


def test_what_columns_can_not_hold_is_left_to_python(
    mtpo: Mtpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mtpo_core.cli.exploring as exploring

    monkeypatch.setattr(exploring, "SMALL", 10)
    monkeypatch.setattr(exploring, "WIDE", 0)
    path = tmp_path / "double.py"
    path.write_text(
        "from mtpo.spec.language import Int, Spec, require\ndouble = Spec('double')\n"
        "n = double.var('n', to=Int, init=lambda: 1)\n@double.action\ndef step() -> None:\n"
        "    require('bound', n() < 2**70)\n    n.becomes(n() + n())\n"
        "double.invariant('double.positive')(lambda: 0 < n())\n"
    )
    said = mtpo("explore", path)
    assert said.code == 0 and "71 states" in said.out and "; python), complete" in said.out
    said = mtpo("explore", path, "--engine", "numpy")
    assert said.code == 2 and "needs more than the 62 bits" in said.err


def test_jobs_explore_parts_and_find_the_same(mtpo: Mtpo, monkeypatch: pytest.MonkeyPatch) -> None:
    import mtpo.proofs.parts.parts as parts

    monkeypatch.setattr(parts, "TARGET", 1_000)
    plain = mtpo("explore", "mtpo", "--objects", 1, "--json").json["explorations"][0]
    for options in (("--jobs", 1), ("--jobs", 2), ("--engine", "python", "--jobs", 1), ("--engine", "numpy")):
        said = mtpo("explore", "mtpo", "--objects", 1, *options, "--json")
        assert said.code == 0
        (found,) = said.json["explorations"]
        assert found["parts"] > 3 and found["engine"] == ("python" if "python" in options else "numpy")
        same = ("initial_states", "states", "transitions", "depth", "complete", "actions", "verdicts")
        assert [found[k] for k in same] == [plain[k] for k in same]
    said = mtpo("explore", "mtpo", "--objects", 1, "--jobs", 2)
    assert f"; numpy, {found['parts']} parts, 2 processes), complete" in said.out


def test_a_spec_without_constants_is_one_part_and_that_is_said(mtpo: Mtpo, lock_path: Path) -> None:
    said = mtpo("explore", lock_path, "--jobs", 2)
    assert said.code == 0
    assert said.err == "lock: all states have the same constants, so that there is one part: one process\n"
    assert "; numpy), complete" in said.out


def test_parts_are_saved_and_gone_on_with(mtpo: Mtpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mtpo.proofs.parts.parts as parts

    monkeypatch.setattr(parts, "TARGET", 1_000)
    options = ("explore", "mtpo", "--objects", 1, "--checkpoint", tmp_path, "--json")
    cut = mtpo(*options, "--limit", 5_000)
    assert cut.code == 3
    assert "holds a checkpoint; go on from it with --resume" in mtpo(*options).err
    found = mtpo(*options, "--resume")
    assert found.code == 0
    plain = mtpo("explore", "mtpo", "--objects", 1, "--json")
    same = ("states", "transitions", "depth", "verdicts")
    assert [found.json["explorations"][0][k] for k in same] == [plain.json["explorations"][0][k] for k in same]
    assert "holds a checkpoint of parts: give --engine numpy" in mtpo(*options, "--resume", "--compiled").err


def test_an_interrupt_says_how_far_the_parts_are_and_what_is_saved(
    mtpo: Mtpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mtpo.proofs.parts.parts as parts
    from mtpo.proofs.parts.part import Explorer

    monkeypatch.setattr(parts, "TARGET", 1_000)
    own, begun = Explorer.explore, list[int]()

    def explore(self: Explorer, part: Any) -> Any:
        if len(part.groups) > 1:
            begun.append(part.start)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return own(self, part)

    monkeypatch.setattr(Explorer, "explore", explore)
    said = mtpo("explore", "mtpo", "--objects", 1, "--jobs", 1, "--checkpoint", tmp_path)
    assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)
    assert said.err.startswith("mtpo: interrupted while exploring mtpo: ")
    assert f"; 2 parts done, {begun[2]} of 50 choices of constants, about " in said.err
    assert said.err.endswith(f" states saved in {tmp_path}/mtpo, go on with --resume); nothing is concluded\n")
    monkeypatch.setattr(Explorer, "explore", own)
    assert mtpo("explore", "mtpo", "--objects", 1, "--checkpoint", tmp_path, "--resume").code == 0


def test_what_was_begun_in_one_piece_is_gone_on_with_so(mtpo: Mtpo, tmp_path: Path) -> None:
    from mtpo.proofs.exploration.checkpoint import Checkpoint
    from mtpo.proofs.exploration.explore import explore
    from mtpo.proofs.exploration.instances import mtpo_instance

    whole = explore(*mtpo_instance(2, 1, 1), engine="numpy", checkpoint=Checkpoint(tmp_path / "mtpo"))
    options = ("explore", "mtpo", "--objects", 1, "--checkpoint", tmp_path, "--resume")
    said = mtpo(*options, "--json")
    assert said.code == 0 and said.json["explorations"][0]["states"] == whole.states
    said = mtpo(*options, "--jobs", 2)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "holds a checkpoint of one piece: leave out --jobs, or name another folder" in said.err


def test_an_instance_of_very_many_first_states_comes_to_its_limit_at_once(mtpo: Mtpo) -> None:
    """3 agents with 2 calls each on 2 objects have 387,577,089 footprints: not even they are all made."""
    said = mtpo("explore", "mtpo", "--agents", 3, "--calls", 2, "--limit", 30_000, "--json")
    assert said.code == 3
    (found,) = said.json["explorations"]
    assert found["engine"] == "numpy" and not found["complete"]
    assert 30_000 < found["states"] < 3_000_000


# -- footprints that are drawn -----------------------------------------------------------------------------------------


def test_footprints_that_are_drawn_are_a_sample(mtpo: Mtpo) -> None:
    options = ("explore", "mtpo", "--agents", 3, "--objects", 1, "--footprints", 5, "--seed", 2)
    said = mtpo(*options)
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0] == "mtpo: 3 Agent, 4 Call, 1 Object, 2 Value; 5 footprints of 250, seed 2"
    assert " a footprint has " in lines[1] and " in all" in lines[1]
    assert lines[2].startswith(
        "SAMPLED  mtpo.live-materialized               sampled: 5 footprints of 250, each exhaustively,"
    )
    assert ", seed 2, " in lines[2] and lines[2].endswith(", symmetry off")
    assert "CHECKED  mtpo.gate" not in said.out and "never reached in these footprints: " in said.out
    (found,) = mtpo(*options, "--jobs", 1, "--json").json["footprints"]
    assert (found["footprints"], found["explored"], found["of"], found["seed"]) == (5, 5, 250, 2)
    said = mtpo(*options, "--limit", 300)
    assert said.code == 3
    (cut,) = set(
        re.findall(r"explored to the end, (\d+) ha\w+ more than 300 states: a higher --limit explores ", said.out)
    )
    assert "UNKNOWN  mtpo.gate" in said.out and "each exhaustively" not in said.out
    assert f"; {5 - int(cut)} of them explored to the end, {cut} cut at --limit\n" in said.out
    said = mtpo("explore", "mtpo", "--objects", 1, "--footprints", 51)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert said.err.startswith("mtpo: 51 footprints: there are 50 of these sizes; explore them all")


def test_a_size_that_an_instance_can_not_have_is_refused(mtpo: Mtpo) -> None:
    said = mtpo("explore", "serial", "--size", "Call=4")
    assert (said.code, said.out) == (2, "")
    assert said.err == "mtpo: --size Call=4: serial has Call=3 with 2 Agent, 1 Object, 3 Value\n"
