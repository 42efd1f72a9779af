"""A user's file that ends the process is no success of the verb; each is run as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtpo_core.cli.contained import contained


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import os\nos._exit(0)\n", "exit 0"),
        ("import posix\nposix._exit(0)\n", "exit 0"),
        ("from os import _exit as leave\nleave(0)\n", "exit 0"),
        ("import os\nos.execvp('true', ['true'])\n", "exit by os.execv"),
        ("import posix\nposix.execve('/bin/true', ['true'], {})\n", "exit by os.execve"),
    ],
)
def test_a_file_that_ends_the_process_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "ends.py").write_text(text)
    command = [sys.executable, "-c", "from mtpo_core.cli import main; main()", "prove", "ends.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    expected = f"mtpo: ends.py:2: the file ends the program itself ({told}); a spec only declares\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


def test_afterwards_all_is_as_before() -> None:
    before = (os._exit, os.execv, os.execve)
    with contained():
        assert os._exit is not before[0]
        child = os.fork()
        if child == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert (os._exit, os.execv, os.execve) == before
