"""What the verbs share: errors as one line, progress, machine-readable output."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console

from mtpo_core.errors import RunHalted

P = ParamSpec("P")
R = TypeVar("R")

_EXTRAS = {
    "z3": "verify",
    "hypothesis": "verify",
    "torch": "engine",
    "transformers": "engine",
    "safetensors": "engine",
    "gguf": "engine",
    "tokenizers": "engine",
    "numpy": "verify",
    "numba": "verify",
}

CLOSED_PIPE = 141
"""The exit code of a program whose reader went away, as a shell reports it."""


def closed_pipe() -> SystemExit:
    """What to raise when whoever read the output has seen enough; what is still buffered goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return SystemExit(CLOSED_PIPE)


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        raise closed_pipe()


out = _Terminal(highlight=False, soft_wrap=True, markup=False)
err = Console(stderr=True, highlight=False, markup=False)


def note(text: str) -> None:
    """Say something on standard error to who looks on, in lines that are as long as they are."""
    err.print(text, soft_wrap=True)


def usage(message: str) -> typer.Exit:
    """Print one line on standard error; raise what it returns: exit code 2."""
    typer.echo(f"mtpo: {' '.join(message.split())}", err=True)
    return typer.Exit(2)


def lacking(error: ModuleNotFoundError) -> str:
    """Which module is not installed, and how to get it with an extra; raises the error where none brings it."""
    extra = _EXTRAS.get((error.name or "").partition(".")[0])
    if extra is None:
        raise error
    return f"{error.name}: pip install '.[{extra}]' in a clone"


def verb(body: Callable[P, R]) -> Callable[P, R]:
    """A verb: a user's mistake ends with one line and exit code 2, an interrupt and a run that is halted with one line
    and 3, never with a traceback."""

    @functools.wraps(body)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return body(*args, **kwargs)
        except ModuleNotFoundError as error:
            raise usage(f"this needs {lacking(error)}") from None
        except BrokenPipeError:
            raise closed_pipe() from None
        except KeyboardInterrupt as error:
            at = "; ".join(map(str.strip, str(error).splitlines()))
            typer.echo(f"mtpo: interrupted{f' while {at}' if at else ''}; nothing is concluded", err=True)
            raise typer.Exit(3) from None
        except RunHalted as error:
            typer.echo(f"mtpo: the run halted: {' '.join(str(error).split())}; its log says how far it came", err=True)
            raise typer.Exit(3) from None
        except (ValueError, OSError, RuntimeError) as error:
            if not _is_ours(error):
                raise
            named = isinstance(error, OSError) and error.filename is not None and error.strerror
            raise usage(f"{error.filename}: {error.strerror}" if named else str(error)) from None  # type: ignore[union-attr]
        except Exception as error:
            if type(error).__name__ != "SpecError":
                raise
            raise usage(str(error)) from None

    return wrapped


def _is_ours(error: BaseException) -> bool:
    """An error that this project raises for bad input, or the system's word on a file."""
    return type(error).__module__.partition(".")[0] in ("mtpo", "mtpo_core") or isinstance(error, OSError)


def print_json(data: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str))


EVERY = 10.0
"""Seconds between two lines that say how far a piece of work is, where there is no terminal."""


@contextlib.contextmanager
def progress(what: str, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """A line on standard error that says how far a long piece of work is; where that is no terminal, another line every
    ten seconds. Where it was is said by an interrupt, too."""
    last, now, begun = 0.0, what, time.monotonic()
    shown: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
    if not quiet:
        told = _now_and_then(lambda: f"{now.strip()} ({time.monotonic() - begun:.0f} s)")
        shown = err.status(what) if sys.stderr.isatty() else told
    with shown as status:

        def update(text: str) -> None:
            nonlocal last, now
            now = f"{what}: {text}"
            if status is not None and time.monotonic() - last > 0.1:
                last = time.monotonic()
                status.update(now)

        try:
            yield update
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt("; ".join((now.strip(), *map(str, error.args)))) from None


@contextlib.contextmanager
def _now_and_then(line: Callable[[], str]) -> Iterator[None]:
    """Print a line on standard error every :data:`EVERY` seconds, whatever the work is doing."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(EVERY):
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
                print(line(), file=sys.stderr, flush=True)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def plural(count: int, what: str) -> str:
    """``1 state``, ``1,024 states``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def sizes_of(given: list[str] | None, least: Mapping[type[Any], int], most: int = 6) -> dict[Any, int]:
    """How many elements each sort has, from ``--size 3`` or ``--size Process=3 --size Lock=1``; else ``least``."""
    sizes, known = dict(least), {sort.__name__: sort for sort in least}
    for text in given or ():
        name, equals, number = text.rpartition("=")
        if equals and name not in known:
            raise usage(f"--size {text}: no sort {name!r}; known: {', '.join(known)}")
        if not (number.isascii() and number.isdecimal()) or not 1 <= int(number) <= most:
            raise usage(f"--size {text}: wants a number from 1 to {most}, or SORT=NUMBER")
        sizes |= {known[name]: int(number)} if equals else dict.fromkeys(least, int(number))
    return sizes


def counted(tell: Callable[[str], None], what: str) -> Callable[[int, int, str], None]:
    """Progress of work that is counted: so many of so many, and the present one."""
    return lambda done, total, now: tell(f"{done} of {total} {what}, {now}")


def frontier(tell: Callable[[str], None]) -> Callable[[int, int], None]:
    """Progress of an exploration."""
    return lambda states, left: tell(f"{states:,} states, {left:,} to go on this level")


def drawn(cases: Sequence[object], path: Path) -> str:
    """What to say of a picture of some counterexamples, which is written when there are any."""
    return f"picture: {path}" if cases else f"no picture: there is no run to draw, so {path} is not written"


def written(files: Sequence[object], folder: Path) -> str:
    """What to say of runs that are written for viewers into a folder, which is made when there are any."""
    return f"itf: {', '.join(map(str, files))}" if files else f"no itf: there is no run to write into {folder}"


def worst(*codes: int) -> int:
    """The exit code of several findings: violated before incomplete before all is well."""
    return next((code for code in (1, 3) if code in codes), 0)


def writable(path: Path, of: Sequence[Path] = ()) -> Path:
    """A place for output, left as it is; raises where nothing can be written, for an existing run log, which is never
    overwritten, and for what is made ``of`` itself, whatever name or link it is given by."""
    if any(same_place(path, source) for source in of):
        raise usage(f"{path}: is what is read; it is not overwritten, choose another name")
    if _is_log(path):
        raise usage(f"{path}: is a run log or another database; it is not overwritten, choose another name")
    if path.is_dir() or not path.parent.is_dir():
        raise usage(f"{path}: {'is a folder' if path.is_dir() else 'its folder does not exist'}")
    there = path.exists()
    if path.is_file() or not there:
        with path.open("ab"):  # OSError where it can't be
            pass
    if not there:
        path.resolve().unlink()
    return path


def same_place(one: Path, other: Path) -> bool:
    """Whether two names, perhaps of links, are those of one file, which need not exist."""
    with contextlib.suppress(OSError):
        return one.samefile(other)
    return one.resolve() == other.resolve()


def _is_log(path: Path) -> bool:
    """Whether a file is a database, or begins as a log as lines of JSON does."""
    from mtpo_core.logfile import FORMAT

    if not path.is_file():
        return False
    with contextlib.suppress(OSError, ValueError, RecursionError), path.open("rb") as file:
        if file.read(15) == b"SQLite format 3":
            return True
        file.seek(0)
        header = json.loads(file.readline())
        return isinstance(header, dict) and header.get("format") == FORMAT
    return False
