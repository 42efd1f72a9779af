"""The main job, end to end: check the spec, start the engine, run contended cases in three modes, judge them.

Takes about three minutes on two cores. Nothing about the outcome is fixed in advance: the final state of each run is
compared with those of all serial orders, found by running them, and the MTPO run's log is judged by a checker that
reads only the log. Exit code 0 when naive comes out wrong, MTPO right, and in about naive's time; else 1.

Time is what a run took by the clock, without what else the machine did meanwhile: the modes take turns, a step each,
all run twice, and of each step the quicker time counts. Where MTPO looks too slow, they run up to twice more.

Ctrl-C ends the runs when the calls at work have ended (exit code 3); the logs then have their ends.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from mtpo_core.cli.common import counted, frontier, note, out, print_json, progress, verb

ABOUT = {"steps": 1.25, "time": 1.5}
"""MTPO takes about naive's time when it needs at most this many times its engine steps, and its time by the clock. On a
CPU that grows with the tokens of a batch, and what MTPO revises is tokens."""


@verb
def demo_command(
    inference: Annotated[str, typer.Option(help="smollm2 (real) or none (steps are only counted)")] = "smollm2",
    output: Annotated[Path, typer.Option(help="folder for logs, certificates and the page")] = Path("runs"),
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    from mtpo_core.cli.engines import check_engine

    start = time.perf_counter()
    check_engine(inference)
    output.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=time.strftime("demo-%Y%m%d-%H%M%S-"), dir=output))

    def say(text: str = "") -> None:
        if json:
            note(text)
        else:
            out.print(text, markup=False)

    say("1  The protocol, checked")
    checked = _check_spec(say)
    say(f"\n2  The engine: {inference}")
    make = _start_engine(inference, say)
    say("\n3  Contended cases on a real git repository: serial, naive, MTPO; the same replayed minds in all")
    cases = [_run_case(name, folder, make, inference != "none", say) for name in ("canary", "release")]
    say("\n4  The verdict")
    good = _verdict(cases, checked, inference != "none", say)
    page = folder / "index.html"
    _write_page(cases, page)
    say(f"\npage: {page}")
    say(f"logs and certificates: {folder}   ({time.perf_counter() - start:.0f} s in all)")
    if json:
        print_json({"holds": good, "spec": checked, "cases": [_case_json(c) for c in cases], "page": str(page)})
    raise typer.Exit(0 if good else 1)


def _check_spec(say: Any) -> dict[str, Any]:
    from mtpo.proofs.exploration.explore import explore
    from mtpo.proofs.exploration.instances import mtpo_instance
    from mtpo.proofs.induction.inductive import prove
    from mtpo.spec.mtpo import mtpo

    begin = time.perf_counter()
    with progress("   proving") as tell:
        verdicts = prove(mtpo, progress=counted(tell, "obligations"))
    proved = sum(v.status == "PROVED" for v in verdicts)
    obligations = sum(v.detail["obligations"] for v in verdicts)
    say(f"   {proved} of {len(verdicts)} properties proved by z3 for any number of agents, objects and calls")
    say(f"   ({obligations} obligations, {time.perf_counter() - begin:.1f} s)")
    instance, initial = mtpo_instance(2, 1, 2)
    with progress("   exploring") as tell:
        result = explore(instance, initial, progress=frontier(tell))
    bad = [v.property for v in (*verdicts, *result.verdicts) if v.status in ("FAILED", "UNKNOWN")]
    say(
        f"   every state of a small instance: {result.states:,} states, {result.transitions:,} steps, "
        f"{'no violation' if not bad else 'NOT SHOWN: ' + ', '.join(bad)} ({result.seconds:.1f} s)"
    )
    return {
        "proved": proved,
        "properties": len(verdicts),
        "obligations": obligations,
        "states": result.states,
        "complete": result.complete,
        "not_shown": bad,
    }


def _start_engine(inference: str, say: Any) -> Any:
    from mtpo_core.cli.engines import inference_factory

    begin = time.perf_counter()
    make = inference_factory(inference)
    if inference == "none":
        say("   no inference: steps are counted, tokens estimated")
    else:
        from mtpo_core.engine_inference import EngineInference, sample

        engine = make()
        assert isinstance(engine, EngineInference)
        text, seconds = sample(engine, "The capital of France is", 12)
        said = f"The capital of France is{text}".splitlines()[0]
        say(f"   {engine.name}; loaded in {time.perf_counter() - begin - seconds:.1f} s")
        say(f"   what it says by itself, greedily: {said}")
    return make


def _run_case(name: str, folder: Path, make: Any, inferred: bool, say: Any) -> dict[str, Any]:
    from mtpo_core.cli.raced import race
    from mtpo_core.driver import serial_states
    from mtpo_core.scenarios import find_scenario

    def slow(raced: dict[Any, Any]) -> bool:
        return inferred and raced["mtpo"].seconds > ABOUT["time"] * raced["naive"].seconds

    scenario = find_scenario(name)
    say(f"   {scenario.title}: {scenario.story}")
    serial = serial_states(scenario)
    ranks = tuple(spec.name for spec in scenario.agents)
    with progress(f"     {name}") as tell:
        found = race(scenario, folder, make, slow, tell)
    rows = []
    for mode, raced in found.items():
        result = raced.outcome
        orders = [order for order, files in serial.items() if files == result.files]
        right = ranks in orders if mode != "naive" else bool(orders)
        rows.append(_row(mode, raced, folder / result.log.name, right and not result.failures))
        say(f"     {mode:<7} {raced.seconds:6.1f} s  {result.steps} engine steps")
    return {"scenario": scenario, "rows": rows}


def _row(mode: str, raced: Any, log: Path, right: bool) -> dict[str, Any]:
    from mtpo_core.log import read_log

    result = raced.outcome
    run = read_log(log)
    count = {kind: sum(r.kind == kind for r in run.records) for kind in ("notify", "undone")}
    return {
        "mode": mode,
        "right": right,
        "failures": list(result.failures),
        "repeated": raced.repeated,
        "seconds": raced.seconds,
        "steps": result.steps,
        "tokens": result.prompt_tokens + result.new_tokens,
        "notifications": count["notify"],
        "undos": count["undone"],
        "run": run,
    }


def _ratios(rows: dict[str, dict[str, Any]], what: str) -> dict[str, float]:
    """How many times naive's each mode took."""
    return {mode: row[what] / rows["naive"][what] for mode, row in rows.items()}


def _verdict(cases: list[dict[str, Any]], checked: dict[str, Any], inferred: bool, say: Any) -> bool:
    from mtpo_core.cli.pages import verdict_of

    good = not checked["not_shown"]
    for case in cases:
        say(f"   {case['scenario'].title}")
        say("     mode     final state    time    steps   tokens  notifications  undos")
        for row in case["rows"]:
            state = "right" if row["right"] else "WRONG"
            say(
                f"     {row['mode']:<8} {state:<11} {row['seconds']:6.1f} s {row['steps']:>7} {row['tokens']:>8} "
                f"{row['notifications']:>14} {row['undos']:>6}"
            )
            for failure in row["failures"]:
                say(f"              not so: {failure}")
        by_mode = {row["mode"]: row for row in case["rows"]}
        verdict, certificate = verdict_of(by_mode["mtpo"]["run"])
        certificate.save(Path(by_mode["mtpo"]["run"].path).with_suffix(".certificate.json"))
        case["certificate"] = certificate
        say(f"     certificate: {verdict.sentence}")
        steps, seconds = (_ratios(by_mode, what) for what in ("steps", "seconds"))
        complaints = []
        if not by_mode["serial"]["right"]:
            complaints.append("serial came out wrong")
        if by_mode["naive"]["right"]:
            complaints.append("naive came out right")
        if not by_mode["mtpo"]["right"] or verdict.tone != "good":
            complaints.append("MTPO came out wrong or without a clean certificate")
        complaints += [
            f"{mode} came out otherwise when it ran again" for mode, row in by_mode.items() if not row["repeated"]
        ]
        for what, ratios in {"steps": steps, **({"time": seconds} if inferred else {})}.items():
            if ratios["mtpo"] > ABOUT[what]:
                complaints.append(f"MTPO took {ratios['mtpo']:.2f} times naive's {what}, more than {ABOUT[what]}")
            say(f"     MTPO took {ratios['mtpo']:.2f} times naive's {what}, serial {ratios['serial']:.2f} times")
        for complaint in complaints:
            say(f"     NOT AS IT SHOULD BE: {complaint}")
        good = good and not complaints
    if inferred:
        say("   time: by the clock, of each step the quickest of all rounds; the page draws a mode's quickest round")
    return good


def _write_page(cases: list[dict[str, Any]], page: Path) -> None:
    from mtpo_core.cli.pages import page_of

    rows = [row for case in cases for row in case["rows"]]
    right = {row["run"].path: row["right"] for row in rows}
    text = page_of(
        [row["run"] for row in rows],
        right,
        cases[0].get("certificate"),
        "MTPO: three modes, two cases; of each mode its quickest round",
    )
    page.write_text(text, encoding="utf-8")


def _case_json(case: dict[str, Any]) -> dict[str, Any]:
    rows = [{k: v for k, v in row.items() if k != "run"} | {"log": row["run"].path} for row in case["rows"]]
    return {"scenario": case["scenario"].name, "rows": rows, "certificate": case["certificate"].as_json()}
