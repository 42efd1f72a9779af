"""An exploration whose process dies goes on from its checkpoint and ends as an unbroken one does."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtpo.proofs.columns.arrays import arrays_of
from mtpo.proofs.columns.columnar import search_columns
from mtpo.proofs.digests import spec_digest
from mtpo.proofs.exploration.checkpoint import MANIFEST, Checkpoint, CheckpointError
from mtpo.proofs.exploration.compiled import search_compiled
from mtpo.proofs.exploration.explore import Found, explore
from mtpo.spec.concrete import Instance
from mtpo.spec.language import Int, Sort, Spec, exists, forall, require
from tests.spec import counter

COUNTER = Path(__file__).parents[2] / "spec" / "counter.py"


pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # hashes wrap around

Engine = Callable[..., Found]


def columns(instance: Instance, **options: Any) -> Found:
    return search_columns(instance, arrays=arrays_of("numpy"), lanes=200, **options)


def compiled(instance: Instance, **options: Any) -> Found:
    return search_compiled(instance, jit=False, **options)


def counters(processes: int) -> Instance:
    return Instance(counter.counter, {counter.Process: processes})


def plainly(found: Found) -> Found:
    return attrs.evolve(found, bytes_per_state=None)


class Died(Exception):
    pass


def until(states: int) -> Callable[[int, int], None]:
    def progress(found: int, left: int) -> None:
        if found >= states:
            raise Died

    return progress


@pytest.mark.parametrize("symmetry", [False, True])
@pytest.mark.parametrize("first", [columns, compiled])
@pytest.mark.parametrize("second", [columns, compiled])
def test_a_broken_exploration_ends_as_an_unbroken_one(
    first: Engine, second: Engine, symmetry: bool, tmp_path: Path
) -> None:
    """By whichever engine it is begun, and gone on with."""
    unbroken = columns(counters(2), limit=10**9, symmetry=symmetry)
    checkpoint = Checkpoint(tmp_path / "c", every=0)
    with pytest.raises(Died):
        first(counters(2), limit=10**9, symmetry=symmetry, checkpoint=checkpoint, progress=until(60))
    assert 0 < checkpoint.saved < unbroken.states
    again = Checkpoint(tmp_path / "c", resume=True, every=0)
    found = second(counters(2), limit=10**9, symmetry=symmetry, checkpoint=again)
    assert plainly(found) == plainly(unbroken)
    assert again.saved == unbroken.states
    whole = second(counters(2), limit=10**9, symmetry=symmetry, checkpoint=Checkpoint(tmp_path / "c", resume=True))
    assert plainly(whole) == plainly(unbroken), "of an exploration that has ended"


def killed(*options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Kill ``mtpo explore`` once it has saved a good part; then resume it. What was saved, and what came out."""
    folder = Path(options[-1])
    command = [
        sys.executable,
        "-c",
        "from mtpo_core.cli import main; main()",
        "explore",
        str(COUNTER),
        "--size",
        "4",
        "--json",
    ]
    command += ["--checkpoint-every", "0", *options]
    manifest = folder / "counter" / MANIFEST
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if manifest.exists() and json.loads(manifest.read_bytes())["count"] > 20_000:
                os.kill(process.pid, signal.SIGKILL)
                break
            time.sleep(0.005)
    assert process.returncode == -signal.SIGKILL
    saved = json.loads(manifest.read_bytes())
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=True)
    return saved, json.loads(done.stdout)["explorations"][0]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.parametrize("engine", ["numpy", pytest.param("compiled", marks=pytest.mark.slow)])
def test_a_killed_process_loses_no_more_than_a_level(engine: str, tmp_path: Path) -> None:
    saved, found = killed("--engine", engine, "--checkpoint", str(tmp_path))
    assert 20_000 < saved["count"] < 2_986_377
    assert (found["states"], found["transitions"], found["depth"]) == (2_986_377, 8_106_620, 24)
    assert found["complete"] is True
    assert sum(found["actions"].values()) == 8_106_620
    assert found["seconds"] > saved["seconds"]


@pytest.mark.parametrize("engine", [columns, compiled])
def test_a_limit_can_be_raised(engine: Engine, tmp_path: Path) -> None:
    cut = engine(counters(2), limit=100, checkpoint=Checkpoint(tmp_path))
    assert not cut.complete
    found = engine(counters(2), limit=10**9, checkpoint=Checkpoint(tmp_path, resume=True))
    assert plainly(found) == plainly(columns(counters(2), limit=10**9))


class Process(Sort):
    "a process"


def climbing(most: int, name: str = "p") -> Spec:
    """Processes climb by 5 each, so that integers need 4 bits, then more; what is reached is noted."""
    spec = Spec("climb")
    done = spec.var("done", Process, init=lambda p: False)
    total = spec.var("total", to=Int, init=lambda: 0)

    def body(p: Process) -> None:
        require("fresh", ~done(p))
        done[p] = True
        total.becomes(total() + 5)

    body.__name__ = "climb"
    spec.action(body)
    spec.invariant("climb.small")(lambda: total() < most)
    spec.reachable("climb.one")(lambda: exists(Process, lambda p: done(p)))
    bound = eval(f"lambda {name}: done({name})", {"done": done})
    spec.reachable("climb.all")(lambda: forall(Process, bound))
    return spec


@pytest.mark.parametrize("engine", [columns, compiled])
def test_wider_integers_begin_anew(engine: Engine, tmp_path: Path) -> None:
    """What was saved with narrow ones is replaced, not mixed in."""
    instance = Instance(climbing(1000), {Process: 5})
    with pytest.raises(Died):
        engine(instance, limit=10**6, checkpoint=Checkpoint(tmp_path, every=0), progress=until(20))
    narrow = {file.name for file in tmp_path.iterdir()}
    found = engine(instance, limit=10**6, checkpoint=Checkpoint(tmp_path, resume=True, every=0))
    assert (found.states, found.complete, found.reached) == (32, True, {"climb.one", "climb.all"})
    assert not narrow & {file.name for file in tmp_path.iterdir()} - {MANIFEST}
    again = engine(instance, limit=10**6, checkpoint=Checkpoint(tmp_path, resume=True))
    assert plainly(again) == plainly(found)


@pytest.mark.parametrize("engine", [columns, compiled])
def test_a_violation_after_a_resumption_has_its_whole_run(engine: Engine, tmp_path: Path) -> None:
    instance = Instance(climbing(15), {Process: 4})
    with pytest.raises(Died):
        engine(instance, limit=10**6, checkpoint=Checkpoint(tmp_path, every=0), progress=until(6))
    found = engine(instance, limit=10**6, checkpoint=Checkpoint(tmp_path, resume=True))
    assert found.violated is not None
    assert [step.action for step in found.violated.steps] == ["climb"] * 3


# -- what does not fit ---------------------------------------------------------------------------------------------


def refused(instance: Instance, folder: Path, text: str, resume: bool = True, **options: Any) -> None:
    before = {file.name: file.read_bytes() for file in folder.glob("*")}
    with pytest.raises(CheckpointError, match=text) as caught:
        columns(instance, limit=10**6, checkpoint=Checkpoint(folder, resume=resume, every=0), **options)
    assert "\n" not in str(caught.value)
    assert before == {file.name: file.read_bytes() for file in folder.glob("*")}, "nothing is lost"


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    refused(Instance(climbing(99), {Process: 3}), tmp_path, "holds no checkpoint to resume; leave out --resume")
    columns(Instance(climbing(99), {Process: 3}), limit=10**6, checkpoint=Checkpoint(tmp_path))
    same = Instance(climbing(99, name="q"), {Process: 3})
    refused(same, tmp_path, "holds a checkpoint; go on from it with --resume", resume=False)
    assert columns(same, limit=10**6, checkpoint=Checkpoint(tmp_path, resume=True)).complete, "another bound name"
    refused(Instance(climbing(98), {Process: 3}), tmp_path, "climb has changed since; remove the folder")
    refused(Instance(climbing(99), {Process: 4}), tmp_path, "of other sizes, 3 Process; remove the folder")
    refused(same, tmp_path, "it was begun without --symmetry", symmetry=True)
    refused(counters(2), tmp_path, "it is of climb, not of counter")
    roots = [same.freeze([0, 0, 1, 5])]
    refused(same, tmp_path, "other constants or initial states", initial=roots)


def changed(change: str) -> Spec:
    """The same spec, but for one change."""
    spec = Spec("climb")
    done = spec.var("done", Process, init=lambda p: change == "init")
    total = spec.var("total", to=Int, init=lambda: 0)

    @spec.action
    def climb(p: Process) -> None:
        require("fresh", ~done(p) if change != "guard" else done(p) | ~done(p))
        done[p] = True
        total.becomes(total() + (5 if change != "update" else 6))

    spec.invariant("climb.small")(lambda: total() < (99 if change != "property" else 9))
    spec.reachable("climb.one")(lambda: exists(Process, lambda p: done(p)))
    spec.reachable("climb.all")(lambda: forall(Process, lambda p: done(p)))
    return spec


def test_a_spec_is_told_by_what_it_means() -> None:
    assert spec_digest(climbing(99)) == spec_digest(climbing(99, name="other")) != spec_digest(climbing(98))
    found = {spec_digest(climbing(99))}
    assert spec_digest(changed("nothing")) in found
    found |= {spec_digest(changed(change)) for change in ("guard", "update", "init", "property")}
    assert len(found) == 5


@pytest.mark.parametrize(
    ("pattern", "change"),
    [
        (MANIFEST, lambda data: b""),
        (MANIFEST, lambda data: b"[]"),
        (MANIFEST, lambda data: b"[" * 100_000),
        (MANIFEST, lambda data: b"\xff\x00"),
        (MANIFEST, lambda data: data[: len(data) // 2]),
        (MANIFEST, lambda data: data.replace(b'"transitions": ', b'"transitions": 1')),
        ("states-*", lambda data: data[:-1]),
        ("states-*", lambda data: bytes([data[0] ^ 1]) + data[1:]),
        ("states-*", None),
    ],
)
def test_a_damaged_file_is_refused(pattern: str, change: Any, tmp_path: Path) -> None:
    instance = Instance(climbing(99), {Process: 3})
    columns(instance, limit=10**6, checkpoint=Checkpoint(tmp_path))
    file = next(tmp_path.glob(pattern))
    if change is None:
        file.unlink()
    else:
        file.write_bytes(change(file.read_bytes()))
    refused(instance, tmp_path, f"{file.name}: (is damaged|No such file).*; remove the folder")


def test_what_a_dead_process_left_beside_is_no_harm(tmp_path: Path) -> None:
    instance = Instance(climbing(99), {Process: 3})
    columns(instance, limit=5, checkpoint=Checkpoint(tmp_path))
    (tmp_path / "states-4-7-9.bin").write_bytes(b"never named by a manifest")
    (tmp_path / "manifest.json.77.new").write_bytes(b"{")
    found = columns(instance, limit=10**6, checkpoint=Checkpoint(tmp_path, resume=True))
    assert (found.complete, found.states) == (True, 8)
    assert not list(tmp_path.glob("*.new"))


@pytest.mark.parametrize("engine", [columns, compiled])
@pytest.mark.parametrize("fails", [1, 2, 3, 5, 10**9])
def test_a_full_disk_hides_no_verdict(
    engine: Engine, fails: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever writing fails, the exploration ends, and the folder holds a whole checkpoint or none."""
    own, left = os.fsync, [fails if fails > 10 else 1, fails]

    def fsync(file: int) -> None:
        left[1] -= 1
        if left[1] < left[0] and left[0] > 0:
            left[0] -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        own(file)

    monkeypatch.setattr(os, "fsync", fsync)
    instance = Instance(climbing(99), {Process: 4})
    checkpoint = Checkpoint(tmp_path, every=0)
    found = engine(instance, limit=10**6, checkpoint=checkpoint)
    assert plainly(found) == plainly(engine(instance, limit=10**6))
    assert checkpoint.failed.endswith(": No space left on device") == (fails > 10)
    monkeypatch.setattr(os, "fsync", own)
    if fails > 10:
        assert (checkpoint.saved, list(tmp_path.iterdir())) == (0, [])
        return
    again = Checkpoint(tmp_path, resume=True)
    assert plainly(engine(instance, limit=10**6, checkpoint=again)) == plainly(found)
    assert again.saved == found.states


def test_a_last_saving_that_fails_leaves_what_was_saved_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = Instance(climbing(99), {Process: 4})
    columns(instance, limit=3, checkpoint=Checkpoint(tmp_path))
    before = {file.name for file in tmp_path.iterdir()}

    def fsync(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        checkpoint = Checkpoint(tmp_path, resume=True)
        assert columns(instance, limit=10**6, checkpoint=checkpoint).complete
    assert checkpoint.failed.endswith(": No space left on device")
    assert before == {file.name for file in tmp_path.iterdir()}
    again = Checkpoint(tmp_path, resume=True)
    assert again.failed == "" and columns(instance, limit=10**6, checkpoint=again).states == 16


def test_the_python_engine_has_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a checkpoint needs another engine than python"):
        explore(counters(2), checkpoint=Checkpoint(tmp_path))
