"""What a spec answers in a notebook."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mtpo.spec.language import Spec
from mtpo.spec.paged_kv import kv


def test_an_exploration_that_holds() -> None:
    found = kv.explore(Block=2, Request=2)
    assert found.holds
    assert kv.explore(Block=2, Request=2, engine="numpy").title == found.title
    text = repr(found)
    assert text.startswith("kv: 2 Request, 2 Block; ") and "all states\n" in text
    assert "CHECKED    kv.conservation" in text
    assert "No block is lost" in found._repr_html_()
    with pytest.raises(ValueError, match="kv: nothing is violated, so there is nothing to draw"):
        found.picture("nowhere.html")


def test_a_violation_is_told_and_drawn(broken_lock: Spec, tmp_path: Path) -> None:
    found = broken_lock.explore(Process=3)
    assert not found.holds
    assert "\n  step 2: acquire(p=process1)\n" in repr(found)
    assert "\n  for p = process0, q = process1\n" in repr(found)
    page = found._repr_html_()
    assert "lock.exclusion is violated." in page and "<script" not in page
    assert Path(found.picture(str(tmp_path / "page.html"))).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_proof_of_one_property(broken_lock: Spec, lock: Spec) -> None:
    found = lock.prove("lock.exclusion")
    assert found.holds
    assert repr(found).splitlines()[0] == "lock: 1 of 1 proved, for any number of elements"
    assert not broken_lock.prove().holds


def test_mutants(lock: Spec) -> None:
    found = lock.mutate("acquire")
    assert found.holds
    assert "killed     lock.acquire.free" in repr(found)
    assert "lock.acquire.free" in found._repr_html_()


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda lock: lock.explore(Agent=2), "lock: no size 'Agent'; it has Process"),
        (lambda lock: lock.explore(size=0), "lock: size=0: a size is a number of at least 1"),
        (lambda lock: lock.explore(engine="abacus"), "lock: no engine 'abacus'; there are python, compiled, numpy"),
        (lambda lock: lock.prove("lock.nothing"), "lock: 'lock.nothing' is nothing to prove; there are lock."),
        (lambda lock: lock.mutate("nothing"), "lock: no mutant's id contains 'nothing'"),
        (lambda lock: lock.mutate(equivalent={"x": "y"}), "lock: equivalent names no mutant: x"),
    ],
)
def test_a_question_that_does_not_fit_is_refused_in_one_line(lock: Spec, ask, told: str) -> None:
    with pytest.raises(ValueError) as caught:
        ask(lock)
    assert str(caught.value).startswith(told) and "\n" not in str(caught.value)


def test_a_spec_needs_no_prover_until_it_is_asked() -> None:
    code = (
        "import sys\nfrom mtpo.spec.paged_kv import kv\n"
        "assert not [m for m in sys.modules if m.startswith(('mtpo.proofs', 'z3', 'mtpo_core'))]\n"
        "sys.modules['z3'] = None\n"
        "try:\n    kv.prove()\nexcept ModuleNotFoundError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "this needs z3: pip install '.[verify]' in a clone\n"
