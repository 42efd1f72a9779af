"""What searches are made of, as literals and as text: renaming, what is idle, blocks of code that share beginnings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any, Final

import attrs

from mtpo.proofs.incremental.disjuncts import Atom, Compare, Disjunct, Literal, Never, free

TAB: Final = "    "


def indented(lines: Iterable[str], depth: int = 1) -> list[str]:
    """Lines at a depth."""
    return [f"{TAB * depth}{line}" for line in lines]


_WORD: Final = re.compile(r"\b[^\W\d]\w*\b")


def merged(
    lines: Sequence[str], given: Mapping[str, str] = MappingProxyType({}), true: Set[str] = frozenset()
) -> list[str]:
    """The same code with equal beginnings of its blocks shared, and nothing computed, or tested, twice.

    Blocks must be independent: they may only add to sets, or return the same, and no two may use a name for different
    things. ``given`` are the names that values have already, ``true`` the tests around the code.
    """
    heads: list[str] = []
    inner: dict[str, list[str]] = {}
    values: dict[str, str] = {}
    names: dict[str, str] = {}
    assigned: list[str] = []
    done: dict[str, None] = {}
    loops: dict[str, str] = {}
    todo = list(reversed(_blocks(lines)))
    while todo:
        head, *block = todo.pop()
        if names:
            head, *block = (_WORD.sub(lambda m: names.get(m[0], m[0]), line) for line in (head, *block))
        if head in true:
            todo += reversed(_blocks(block))
            continue
        found = re.fullmatch(r"(\w+) = (.*)", head)
        loop = re.fullmatch(r"for (\w+(?:, \w+)?) in (.*):", head)
        if loop is not None and loop[2] in loops:
            other = dict(zip(loop[1].split(", "), loops[loop[2]].split(", "), strict=True))
            head, *block = (_WORD.sub(lambda m, other=other: other.get(m[0], m[0]), line) for line in (head, *block))  # type: ignore[misc]
        elif loop is not None:
            loops[loop[2]] = loop[1]
        if head.endswith(":"):
            if head not in inner:
                heads.append(head)
            inner.setdefault(head, []).extend(block)
        elif found is None:
            done.setdefault(head)
        elif found[2].isidentifier():
            names[found[1]] = found[2]
        elif found[2] in values or found[2] in given:
            names[found[1]] = values.get(found[2]) or given[found[2]]
        else:
            values[found[2]] = found[1]
            assigned.append(head)
    _sink(heads, inner)
    out = [*assigned, *done]
    known = {**given, **values}
    for head in heads:
        tests = {*true, head} if head.startswith("if ") and ":=" not in head else true
        again = set(_given(head))  # a loop gives its variables another value
        kept = known
        if again:
            kept = {value: name for value, name in known.items() if not again & {name, *_WORD.findall(value)}}
            tests = {test for test in tests if not again & {*_WORD.findall(test)}}
        out += [head, *(f"{TAB}{line}" for line in merged(inner[head], kept, tests))]
    return out


def _sink(heads: list[str], inner: dict[str, list[str]]) -> None:
    """A test around a loop that is there without it, too, goes into that one."""
    for head in list(heads):
        if head.startswith("for ") or ":=" in head:
            continue
        kept: list[str] = []
        own = {line.partition(" = ")[0] for line in inner[head] if _ASSIGNED.fullmatch(line)}
        there = {_LOOP.fullmatch(other)[2]: other for other in heads if other != head and _LOOP.fullmatch(other)}  # type: ignore[index]
        for first, *block in _blocks(inner[head]):
            loop = _LOOP.fullmatch(first)
            if loop is None or loop[2] not in there or own & {word for line in block for word in _WORD.findall(line)}:
                kept += [first, *(f"{TAB}{line}" for line in block)]
                continue
            names = {loop[1]: _LOOP.fullmatch(there[loop[2]])[1]}  # type: ignore[index]
            moved = (_WORD.sub(lambda m, names=names: names.get(m[0], m[0]), line) for line in block)  # type: ignore[misc]
            inner[there[loop[2]]] += [head, *(f"{TAB}{line}" for line in moved)]
        if any(not _ASSIGNED.fullmatch(line) for line in kept):
            inner[head] = kept
        else:
            heads.remove(head)


_LOOP: Final = re.compile(r"for (\w+) in (i\d+\[\w+\]):")
_ASSIGNED: Final = re.compile(r"\w+ = .*")


def _blocks(lines: Sequence[str]) -> list[list[str]]:
    """The lines at no depth, each with those inside it, which are at none then."""
    out: list[list[str]] = []
    for line in lines:
        if line.startswith(TAB):
            out[-1].append(line[len(TAB) :])
        else:
            out.append([line])
    return out


def propagated(lines: Sequence[str]) -> list[str]:
    """The same code without names that are other names by another name: of code where a name may be given anew, but not
    while another stands for it, and no block gives one that is used after it."""
    out: list[str] = []
    scopes: list[tuple[int, dict[str, str]]] = []
    for line in lines:
        depth = len(line) - len(line.lstrip())
        while scopes and scopes[-1][0] > depth:
            scopes.pop()
        if not scopes or scopes[-1][0] < depth:
            scopes.append((depth, dict(scopes[-1][1]) if scopes else {}))
        names = scopes[-1][1]
        found, given = re.fullmatch(r"(\w+) = (.*)", line[depth:]), _given(line[depth:])
        text = line[depth + len(found[1]) :] if found else line[depth:]
        known = {name: other for name, other in names.items() if found or name not in given}
        text = re.sub(r"\b[^\W\d]\w*\b", lambda m, known=known: known.get(m[0], m[0]), text)  # type: ignore[misc]
        for name in [name for name, other in names.items() if name in given or other in given]:
            del names[name]
        if found and (text[3:].isidentifier() or text[3:].isdecimal()):
            names[found[1]] = text[3:]
        else:
            out.append(f"{line[:depth]}{found[1] if found else ''}{text}")
    return out


def _given(line: str) -> list[str]:
    """The names that a line gives, those of tests apart."""
    found = re.match(r"for (\w+)(?:, (\w+))? in |(\w+) = ", line)
    return [name for name in found.groups() if name] if found else []


def decided(lines: Sequence[str], facts: Mapping[str, bool]) -> list[str]:
    """The same code without tests whose outcome is known: ``facts`` are expressions that keep their value."""
    out: list[str] = []
    dedents: list[int] = []  # of the blocks whose test is gone
    skipped: int | None = None
    for line in lines:
        depth = len(line) - len(line.lstrip())
        if skipped is not None and depth > skipped:
            continue
        skipped = None
        while dedents and depth <= dedents[-1]:
            dedents.pop()
        found = re.fullmatch(r"if (not )?([^ ]+):", line[depth:])
        if found is not None and found[2] in facts:
            if facts[found[2]] == (found[1] is None):
                dedents.append(depth)
            else:
                skipped = depth
            continue
        out.append(line[len(TAB) * len(dedents) :])
    kept: list[str] = []
    for line in reversed(out):  # a block may be empty now
        depth = len(line) - len(line.lstrip())
        if not line.endswith(":") or (kept and len(kept[-1]) - len(kept[-1].lstrip()) > depth):
            kept.append(line)
    return kept[::-1]


_PLACE: Final = re.compile(r"(?<![\w)*])\w+\*m_\w+\+\w+(?![\w(.\[])")
_READ: Final = re.compile(r"[csp]_\w+(?:\[\w+\]|\.get\(\w+, (?:\w+|\w+\[\w+\])\))")


def shared(lines: Sequence[str]) -> list[str]:
    """The same code with what is read twice, and places that are computed twice, read and computed once: of code that
    changes nothing."""
    out: list[str] = []
    scopes: list[tuple[int, dict[str, str]]] = []
    count = 0
    for number, line in enumerate(lines):
        depth = len(line) - len(line.lstrip())
        while scopes and scopes[-1][0] > depth:
            scopes.pop()
        if not scopes or scopes[-1][0] < depth:
            scopes.append((depth, dict(scopes[-1][1]) if scopes else {}))
        known, text = scopes[-1][1], line[depth:]
        for expression in _PLACE.findall(text):
            if expression in known or text.startswith("el"):
                continue
            end = next((n for n in range(number + 1, len(lines)) if not lines[n].startswith(line[:depth])), len(lines))
            if sum(expression in _PLACE.findall(other) for other in lines[number:end]) + text.count(expression) > 2:
                known[expression] = f"at{count}"
                out.append(f"{line[:depth]}at{count} = {expression}")
                count += 1
        text = _PLACE.sub(lambda m, known=known: known.get(m[0], m[0]), text)  # type: ignore[misc]
        found = re.fullmatch(r"(\w+) = (.*)", text)
        text = _READ.sub(lambda m, known=known: known.get(m[0], m[0]), text)  # type: ignore[misc]
        for name in _given(text):
            for expression in [e for e, at in known.items() if at == name or re.search(rf"\b{name}\b", e)]:
                del known[expression]
        if found and _READ.fullmatch(found[2]) and text.endswith(found[2]):
            known[found[2]] = found[1]
        out.append(line[:depth] + text)
    return propagated(out)


def apart_by_depth(lines: Sequence[str]) -> list[str]:
    """The same code in which what a test calls ``l`` and ``b`` is not what one inside it calls so: of code in which
    these are what the test around it says."""
    out: list[str] = []
    tests: list[int] = []
    for line in lines:
        depth = len(line) - len(line.lstrip())
        while tests and depth <= tests[-1]:
            tests.pop()
        if "(l := " in line and line.endswith(":") and line[depth:].startswith("if "):
            tests.append(depth)
        if tests:
            line = _LISTS.sub(lambda m: f"{m[0]}{tests[-1] // len(TAB)}", line)
        out.append(line)
    return out


_LISTS: Final = re.compile(r"\b[lb]\b")


def tidy(lines: Iterable[str]) -> list[str]:
    """A program without names that are others by another name, and nothing read twice by what only looks."""
    out: list[str] = []
    body: list[str] = []
    for line in (*lines, "def"):
        if not line.startswith(TAB):
            changes = bool(out) and out[-1].startswith(("def set_", "def update_"))
            looks = bool(out) and out[-1].startswith(_LOOKING)
            out += propagated(body) if changes else apart_by_depth(shared(body)) if looks else body
            out.append(line)
            body = []
        else:
            body.append(line)
    return out[:-1]


_LOOKING: Final = tuple(
    f"def {name}" for name in ("check_", "more_", "clause_", "guard_", "q", "still", "began", "resumed")
)


def bound(lines: Iterable[str], names: Set[str]) -> tuple[str, str]:
    """A program in two parts: the functions of steps are the second, with the global ``names`` that they use, and the
    indexes, as defaults of parameters, which are read at once."""
    functions: list[list[str]] = [[]]
    for line in lines:
        if not line.startswith(TAB):
            functions.append([])
        functions[-1].append(line)
    parts: tuple[list[str], list[str]] = ([], [])
    for head, *body in functions[1:]:
        found = re.fullmatch(r"(def (?:clause|guard|update|check|more)_\w+\()(.*)(\):)", head)
        if found is None:
            parts[0].extend((head, *body))
            continue
        own = [found[2]] if found[2] else []
        words = {name for line in body for name in re.findall(r"\b[^\W\d]\w*", line)}
        used = {name for name in words if name in names or _STATE.fullmatch(name)}
        parts[1].extend((found[1] + ", ".join([*own, *(f"{name}={name}" for name in sorted(used))]) + found[3], *body))
    return "\n".join((*parts[0], "")), "\n".join((*parts[1], ""))


_STATE: Final = re.compile(r"[ijw]\d+|broken|wrong|flawed|E|bisect_left|insort")


def mentioned(lines: Sequence[str], names: Mapping[str, object]) -> list[str]:
    """Which of the names of indexes the code mentions."""
    found = dict.fromkeys(name for line in lines for name in re.findall(r"\b[ij]\d+\b", line))
    return [name for name in found if name in names]


def in_order(lines: Sequence[str], rigid: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is to be filled: what others need comes before them."""
    needs: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if line.startswith("def "):
            current = needs.setdefault(line[9:-3], []) if line.startswith("def fill_") else []
        else:
            current += re.findall(r"\b(?:i\d+|s_differ\d+)\b", line)
    done: dict[str, None] = {}

    def fill(name: str) -> None:
        for other in needs[name]:
            if other != name and other not in done:
                fill(other)
        done.setdefault(name)

    for name in rigid:
        fill(name)
    first = tuple(done)
    for name in needs:
        fill(name)
    return first, tuple(done)[len(first) :]


def rename(literal: Any, names: Mapping[Any, Any]) -> Any:
    """A literal with other names for its variables."""

    def other(operand: Any) -> Any:
        if isinstance(operand, tuple):
            return (operand[0], other(operand[1]), other(operand[2]))
        return names.get(operand, operand)

    if isinstance(literal, Compare):
        return Compare(literal.op, other(literal.left), other(literal.right))
    value = None if literal.value is None else other(literal.value)
    return attrs.evolve(literal, args=tuple(map(other, literal.args)), value=value)


def without_idle(literals: Sequence[Literal], needs: Iterable[str]) -> list[Literal]:
    """The literals without definitions that nothing uses."""
    kept, needed = list(literals), set(needs)
    while True:
        used = needed | {name for x in kept for name in (free(x) - {x.value} if _defines(x) else free(x))}  # type: ignore[union-attr]
        fewer = [x for x in kept if not (_defines(x) and str(x.value) not in used)]  # type: ignore[union-attr]
        if len(fewer) == len(kept):
            return kept
        kept = fewer


def symbols(disjunct: Disjunct) -> frozenset[str]:
    """The symbols that a disjunct reads, those of inner quantifiers among them."""
    found = {x.symbol for x in disjunct.literals if isinstance(x, Atom)}
    inner = [d for x in disjunct.literals if isinstance(x, Never) for d in x.disjuncts]
    return frozenset(found.union(*map(symbols, inner)))


def likely(literal: Literal) -> tuple[int, str]:
    """Tests that mostly fail come first: of order, and of relations that hold of few; the same in the same order."""
    if isinstance(literal, Atom) and literal.value is None:
        return (0 if literal.positive else 2), literal.symbol
    return (0 if isinstance(literal, Compare) and literal.op in ("lt", "le") else 1), ""


def places_of(atom: Atom, subject: str) -> list[int]:
    """The arguments that are a variable."""
    return [place for place, arg in enumerate(atom.args) if arg == subject]


def _defines(literal: Literal) -> bool:
    """Whether it is an application whose value has a name of its own, which always exists."""
    return isinstance(literal, Atom) and isinstance(literal.value, str)
