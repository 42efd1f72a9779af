"""Children that no Ctrl-C reaches: they end what they have begun, however often it is pressed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from mtpo_core.interrupts import run_apart


def test_a_child_has_its_output_input_and_exit_status(tmp_path):
    said = "import sys; print(sys.stdin.read().upper()); print('no', file=sys.stderr); sys.exit(3)"
    done = run_apart([sys.executable, "-c", said], cwd=tmp_path, env=dict(os.environ), input=b"yes")
    assert (done.returncode, done.stdout.strip(), done.stderr.strip()) == (3, b"YES", b"no")


def test_no_interrupt_of_the_group_ends_a_child_whenever_it_comes(tmp_path):
    """A process of its own group, so that nobody else hears it; there each child begins in a rain of interrupts."""
    storm = f"""
import os, signal, sys, threading, time
sys.path[:0] = {sys.path!r}
from pathlib import Path
from mtpo_core.interrupts import run_apart
signal.signal(signal.SIGINT, lambda number, frame: None)
over = threading.Event()
def rain():
    while not over.is_set():
        os.killpg(0, signal.SIGINT)
        time.sleep(0.001)
threading.Thread(target=rain, daemon=True).start()
codes = [run_apart(["true"], cwd=Path("."), env=dict(os.environ)).returncode for _ in range(40)]
over.set()
print(sorted(set(codes)))
"""
    done = run_apart([sys.executable, "-c", storm], cwd=tmp_path, env=dict(os.environ))
    assert (done.returncode, done.stdout.decode().strip()) == (0, "[0]"), done.stderr.decode()


def test_who_starts_a_child_hears_interrupts_again(tmp_path):
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        run_apart(["true"], cwd=tmp_path, env=dict(os.environ))
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        deadline = time.monotonic() + 30
        while not heard and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]
