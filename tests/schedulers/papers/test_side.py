"""Children of a parent that is interrupted, or killed: none is left, and only the parent has something to say."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mtpo.schedulers.papers.side import Job, children, run

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals of POSIX")

PARENT = """
import signal, sys
from mtpo.schedulers.papers.side import Job, run
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts in the background of a shell ignores it
    from forever import stay
    jobs = [Job(str(n), stay, (sys.argv[1], n)) for n in range(3)]
    try:
        run(jobs, 2, lambda text: None)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(3)
"""
CHILD = """
import os, pathlib, time
def stay(folder, n):
    made = pathlib.Path(folder) / f"new{n}"
    made.write_text(str(os.getpid()))
    made.rename(pathlib.Path(folder) / f"pid{n}")
    while True:
        time.sleep(0.01)
"""


def gone(pid: int) -> bool:
    """Whether a process runs no more; one that waits for its exit code to be read does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize(("number", "group"), [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGKILL, False)])
def test_nobody_stays_and_only_the_parent_speaks(tmp_path: Path, number: signal.Signals, group: bool) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    (tmp_path / "forever.py").write_text(CHILD)
    command = [sys.executable, str(tmp_path / "parent.py"), str(tmp_path)]
    with (tmp_path / "said").open("w") as said:
        parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, start_new_session=True)
    while len(pids := sorted(tmp_path.glob("pid*"))) < 2:
        assert parent.poll() is None, (tmp_path / "said").read_text()
        time.sleep(0.02)
    (os.killpg if group else os.kill)(parent.pid, number)
    assert parent.wait() == (3 if number == signal.SIGINT else -number)
    for path in pids:
        # No child ends its work by itself.
        assert any(gone(int(path.read_text())) or time.sleep(0.02) for _ in range(3000))
    # Whoever it started, to clean up after it too, has ended when nobody can write any more.
    parent.communicate()
    assert (tmp_path / "said").read_text() == ("" if number == signal.SIGKILL else "interrupted\n")


def test_a_child_that_has_not_begun_sees_no_interrupt() -> None:
    before = signal.getsignal(signal.SIGINT)
    with children(1) as submit:
        blocked = submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).result()
        handler = submit(signal.getsignal, signal.SIGINT).result()
    assert signal.SIGINT in blocked and handler == signal.SIG_IGN
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_ends_those_at_work_at_once() -> None:
    before = set(multiprocessing.active_children())
    with pytest.raises(ValueError, match="non-negative"):
        run([Job("long", time.sleep, (10_000,)), Job("bad", time.sleep, (-1,))], 2, lambda text: None)
    assert set(multiprocessing.active_children()) == before
