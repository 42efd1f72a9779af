"""The README's claims, run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)


def shell(command: str, where: Path) -> subprocess.CompletedProcess[str]:
    args = command.split("#")[0].split()
    assert args[0] == ".venv/bin/mtpo"
    env = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-c", "from mtpo_core.cli import main; main()", *args[1:]],
        cwd=where,
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )


def commands(heading: str) -> list[str]:
    section = README.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\$ (.*)$", section, re.MULTILINE)


def test_both_commands_are_at_the_top_and_exist():
    top = README[: README.index("## Check a property")]
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        assert f"make {target}" in top
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_what_the_demo_takes_for_about_naives_time():
    from mtpo_core.cli.demo import ABOUT

    said = f"at most\n{ABOUT['steps']} times its engine steps and {ABOUT['time']} times its seconds"
    assert " ".join(said.split()) in " ".join(README.split())


def test_check_a_property(tmp_path):
    expected = (0, 0, 0, 0, 0, 0, 0)
    for command, code in zip(commands("Check a property"), expected, strict=True):
        done = shell(command, tmp_path)
        assert done.returncode == code, (command, done.stderr, done.stdout[-2000:])
        if " prove " in command:
            proved = re.findall(r"^PROVED +(\S+)", done.stdout, re.MULTILINE)
            assert set(proved) == {"mtpo.one-way", "mtpo.live-materialized"}


def test_check_a_run(tmp_path):
    expected = (0, 0, 1, 1, 0, 0)
    for command, code in zip(commands("Check a run"), expected, strict=True):
        done = shell(command, tmp_path)
        assert done.returncode == code, (command, done.stderr, done.stdout[-2000:])
        if "exit code" in command:
            assert f"exit code {code}" in command
    naive = shell(".venv/bin/mtpo verify naive.log", tmp_path)
    assert "run.serializable" in naive.stdout
    assert (tmp_path / "runs.html").stat().st_size > 10_000


def test_embed_the_core(tmp_path, monkeypatch, capsys):
    (code,) = [text for language, text in BLOCKS if language == "python"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "geo.yaml").write_text("image: shop/geo:1.0\n")
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "geo.yaml" in printed and "shop/geo:1.1" in printed and '"by":"first"' in printed
    assert printed.splitlines()[-1] == "complete"


def test_what_an_installation_brings():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (said,) = re.findall(r"on three packages \(([^)]*)\)", README)
    assert re.findall(r"`(\w+)`", said) == [re.match(r"\w+", one)[0] for one in project["dependencies"]]
    assert sorted(re.findall(r"`'\.\[(\w+)\]'`", README)) == sorted(project["optional-dependencies"])


def test_the_core_needs_no_extra(tmp_path):
    """Of `pip install .`: the example, a checked log and a simulation, where the extras can't be imported."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {re.match(r"[\w-]+", one)[0] for extra in extras.values() for one in extra}
    modules = {"z3", "cupy", "itf_py"} | {name.replace("-", "_") for name in names}
    (code,) = [text for language, text in BLOCKS if language == "python"]
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "geo.yaml").write_text("1.0")
    barred = f"import sys\nsys.modules.update(dict.fromkeys({sorted(modules)!r}))\n"
    main = "from mtpo_core.cli import main\nsys.argv[1:] = {!r}\nmain()\n"
    verify, simulate = ["verify", "run.log"], ["simulate", "--trace", "poisson:rate=5,n=20"]
    for script in (code, main.format(verify), main.format(simulate)):
        command = [sys.executable, "-c", barred + script]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_folders_it_lists_are_the_folders():
    listed = re.findall(r"^(\w+)/ ", BLOCKS[-1][1], re.MULTILINE)
    listed += re.findall(r" (docs)/ ", BLOCKS[-1][1])
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    folders = {name.split("/")[0] for name in tracked.stdout.split() if "/" in name} - {".ci"}
    assert set(listed) == folders


def test_a_spec_answers_in_a_notebook():
    from mtpo.spec.mtpo import mtpo

    assert "`mtpo.explore(agents=2, faults=True)`" in README
    found = mtpo.explore(agents=2, objects=1, faults=True)
    assert "85,160" in repr(found) and "85,160" in found._repr_html_()


def test_the_papers_that_it_names_are_measured():
    from mtpo.schedulers.papers import STUDIES

    assert {f"{name}.md" for name in STUDIES} == {path.name for path in (ROOT / "docs" / "papers").iterdir()}
    assert "`mtpo paper fairbatching`, `concur`, `conserve` or\n`composed`" in README


def test_the_policies_and_options_that_it_names_exist(tmp_path):
    from mtpo.schedulers.load import load_policy

    for name, layer in {"bounded_gap": "step", "footprint": "admission", "failover": "placement"}.items():
        assert f"`{name}`" in README
        assert load_policy(name, layer)
    for verb, options in {
        "explore": ("--engine", "--checkpoint", "--resume", "--faults", "--live", "--walks", "--picture", "--itf"),
        "simulate": ("--lose",),
        "calibrate": (),
    }.items():
        assert all(option in README for option in options), verb
        said = shell(f".venv/bin/mtpo {verb} --help", tmp_path)
        assert said.returncode == 0 and all(option in said.stdout for option in options)


def test_every_spec_is_in_the_ledger_as_its_table_says():
    from mtpo.proofs.ledger import read_ledger
    from mtpo_core.cli.specs import BUILT_IN

    shown = {(e.property.partition(".")[0], e.method) for e in read_ledger()}
    assert len(BUILT_IN) >= 15
    for spec in BUILT_IN:
        assert {(spec, method) for method in ("inductive", "exhaustive", "mutants")} <= shown, spec


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:spec|proofs|mtpo_core|docs|engine)/[\w./]+)`", README))))
def test_files_that_it_names_exist(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("id", ["mtpo.live-materialized", "mtpo.one-way"])
def test_properties_that_it_names_are_in_the_ledger_as_proved(id):
    from mtpo.proofs.ledger import read_ledger

    assert ("PROVED", "inductive") in {(e.status, e.method) for e in read_ledger() if e.property == id}


def test_every_obligation_in_the_ledger_is_confirmed_by_the_second_solver():
    from mtpo.proofs.ledger import read_ledger

    proved = [e for e in read_ledger() if e.method == "inductive"]
    assert len(proved) > 40
    for entry in proved:
        assert entry.detail["second_solver"].startswith("cvc5 ")
        assert entry.detail["confirmed"] == entry.detail["obligations"]


def test_the_core_imports_attrs_and_the_standard_library_only():
    code = (
        "import sys, mtpo_core, mtpo_core.machine, mtpo_core.runtime, mtpo_core.tools, mtpo_core.log\n"
        "names = {n.partition('.')[0] for n in sys.modules}\n"
        "print(sorted(n for n in names - sys.stdlib_module_names if not n.startswith(('_', 'mtpo'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(eval(done.stdout)) <= {"attr", "attrs"}
