"""Run a contended case on a real git repository and write its log.

SCENARIO is canary or release. The agents are replayed minds: deterministic code that reacts to what it sees; their text
is forced, token by token, through the engine (--inference smollm2) or only counted (--inference none). Modes: serial
(one agent after the other), naive (all at once, no coordination), mtpo. Ctrl-C ends a run when the call at work has
ended (exit code 3, as for a run that halts); the log then has its end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from mtpo_core.cli.common import out, plural, print_json, progress, usage, verb

NEEDS_ARGUMENTS = True


@verb
def run_command(
    scenario: Annotated[str, typer.Argument(help="canary or release")],
    mode: Annotated[str, typer.Option(help="mtpo, naive or serial")] = "mtpo",
    policy: Annotated[
        str, typer.Option(help="for undone calls: replay (re-apply) or cancel (ask the author)")
    ] = "replay",
    inference: Annotated[str, typer.Option(help="smollm2 (real) or none (steps are only counted)")] = "none",
    log: Annotated[Path, typer.Option(help="where the log goes; must not exist")] = Path("run.mtpo"),
    repository: Annotated[
        Path | None, typer.Option(help="an empty folder for the repository; default: a temporary one")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="machine-readable output")] = False,
) -> None:
    """See the module's docstring."""
    from mtpo_core.cli.engines import inference_factory
    from mtpo_core.driver import Outcome, run_scenario
    from mtpo_core.interrupts import run_to_its_end
    from mtpo_core.machine import Policy
    from mtpo_core.scenarios import find_scenario

    case = find_scenario(scenario)
    modes: dict[str, Literal["mtpo", "naive", "serial"]] = {"mtpo": "mtpo", "naive": "naive", "serial": "serial"}
    if mode not in modes:
        raise usage(f"unknown mode {mode!r}; known: {', '.join(modes)}")
    if policy not in {p.value for p in Policy}:
        raise usage(f"unknown policy {policy!r}; known: {', '.join(p.value for p in Policy)}")
    if log.exists():
        raise usage(f"{log}: exists already; a log is never overwritten, choose another name with --log")
    make = inference_factory(inference)

    async def whole(tell: Callable[[str], None]) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="mtpo-run-") as folder:
            return await run_scenario(
                case,
                modes[mode],
                repository or Path(folder) / "repository",
                log,
                inference=make(),
                policy=Policy(policy),
                progress=tell,
            )

    with progress(f"{case.name}, {mode}", json) as tell:
        result = run_to_its_end(lambda: whole(tell))
    data = {
        "scenario": case.name,
        "mode": mode,
        "log": str(log),
        "right": not result.failures,
        "failures": list(result.failures),
        "seconds": round(result.seconds, 3),
        "steps": result.steps,
        "prompt_tokens": result.prompt_tokens,
        "new_tokens": result.new_tokens,
    }
    if json:
        print_json(data)
    else:
        size = f"{plural(result.steps, 'step')}, {plural(result.new_tokens, 'token')}"
        out.print(f"{case.title} ({mode}): {size}, {result.seconds:.1f} s")
        for what in case.wanted:
            out.print(f"  {'no ' if what in result.failures else 'yes'}  {what}")
        out.print(f"log: {log}   (mtpo verify {log}; mtpo view {log})")
    raise typer.Exit(1 if result.failures else 0)
