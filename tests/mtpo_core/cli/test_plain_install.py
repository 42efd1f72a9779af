"""What ``explain`` tells where no extra is installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mtpo.proofs.findings import findings

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]


def plain(*args: str) -> subprocess.CompletedProcess[str]:
    """``mtpo`` where nothing that an extra brings can be imported."""
    extras = PROJECT["optional-dependencies"].values()
    names = {re.match(r"[\w-]+", one)[0].replace("-", "_") for extra in extras for one in extra}  # type: ignore[index]
    modules = sorted({"z3", "cupy", "itf_py", *names})
    code = (
        f"import sys\nsys.modules.update(dict.fromkeys({modules!r}))\n"
        f"from mtpo_core.cli import main\nsys.argv[1:] = {args!r}\nmain()\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("id", "first"),
    [
        ("tool.inverse", "tool.inverse   check of a tool"),
        ("core.inverse-restores", "core.inverse-restores   reason to halt a run"),
        ("log.chain", "log.chain   check of a log"),
        ("run.gate", "run.gate   check of a log"),
        ("F29", "F29   finding   proofs/FINDINGS.md"),
        ("mtpo:gate", "mtpo:gate    "),
    ],
)
def test_what_the_core_cites_is_explained_without_an_extra(id: str, first: str) -> None:
    done = plain("explain", id)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(first) and done.stdout.count("\n") > 1


def test_what_of_an_explanation_needs_an_extra_is_said() -> None:
    done = plain("explain", "core.refines")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        r"  what is recorded of it needs \w+: pip install '\.\[verify\]' in a clone", done.stdout.splitlines()[-1]
    )
    assert json.loads(plain("explain", "core.refines", "--json").stdout)["evidence"] is None


def test_the_findings_are_listed_without_an_extra() -> None:
    done = plain("explain", "--findings")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [f"{one.id:<4} {one.title}" for one in findings().values()]
    needs = r"the findings alone, without their traces: these need \w+: pip install '\.\[verify\]' in a clone\n"
    assert re.fullmatch(needs, done.stderr)
    listed = json.loads(plain("explain", "--findings", "--json").stdout)["findings"]
    assert listed == [one.as_json() for one in findings().values()]


def test_a_clause_of_a_spec_needs_the_extra_and_says_so() -> None:
    done = plain("explain", "mtpo.call.gate")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"mtpo: this needs \w+: pip install '\.\[verify\]' in a clone\n", done.stderr)
