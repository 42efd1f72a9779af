"""What is shown of the installed sources, read from the ledger: for one clause or property, and for all of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import attrs

from mtpo.proofs.exploration.goals import Goal, goals_of
from mtpo.proofs.induction.endings import open_ends, rests_on
from mtpo.proofs.ledger import REFINES, Entry, read_ledger, stale
from mtpo.proofs.mutants.alterations import alterations
from mtpo.proofs.mutants.fates import Fate, altered, caught_by, fates
from mtpo.proofs.mutants.listed import key_of
from mtpo.spec.language import Action, Clause, Ending, Property, Spec, Variant, formals_of, show
from mtpo.spec.language.terms import names_for


class NoSuchClause(ValueError):
    """No property, clause, action or update of that id; the message lists close ones."""


@attrs.frozen
class Evidence:
    """One entry of the ledger as a sentence, and whether it speaks of the sources as they are now. ``instances`` are
    those that were explored, as the sentence has them."""

    method: str
    status: str
    sentence: str
    fresh: bool
    instances: tuple[str, ...] = ()


@attrs.frozen
class Explanation:
    """What an id stands for. ``mutants`` are (id, what was dropped or altered, who catches it or why nothing
    changes)."""

    id: str
    kind: str
    english: str
    formula: str
    at: str
    evidence: tuple[Evidence, ...]
    mutants: tuple[Fate, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        data = attrs.asdict(self)
        data["mutants"] = [dict(zip(("id", "dropped", "fate"), row, strict=True)) for row in self.mutants]
        return data


def explain(
    id: str, specs: Sequence[Spec], entries: Iterable[Entry] | None = None, others: Iterable[str] = ()
) -> Explanation:
    """The English, the formula, the evidence and the mutants of a property, an action or a guard clause; of a mutant
    what it alters, and who catches it.

    Raises :class:`NoSuchClause`, which names close ones; ``others`` are ids of other things that may be meant.
    """
    ledger = list(read_ledger() if entries is None else entries)
    known = {known_id: (spec, item) for spec in specs for known_id, item in _items(spec)}
    for spec in specs:
        if id == f"{spec.name}.mutants":
            said, every = evidence_of(id, ledger), altered(spec)
            english = next((e.english for e in ledger if e.property == id), "")
            text, at = f"{len(every)} mutants: `mtpo mutate {spec.name}`", next(iter(spec.actions.values())).at
            return Explanation(id, "all mutants", english, text, at, said, ())
    if id not in known and (mutant := _mutant(id, specs, ledger)) is not None:
        return mutant
    if id not in known:
        near = nearest(id, (*known, *others))
        close = f"close ones: {', '.join(near)}"
        lists = "`mtpo explain --rules SPEC` lists a spec's; findings (F1, F2, ...) are in proofs/FINDINGS.md"
        raise NoSuchClause(f"unknown id {id!r}; {close if near else lists}")
    spec, item = known[id]
    # What one spec assumes of a state of another (spec/frozen.py) is shown there.
    shown = evidence_of(id, ledger) or evidence_of(id.partition(".")[2], ledger)
    match item:
        case Property():
            caught = caught_by(id, spec, ledger)
            return Explanation(id, item.role, item.doc, show(item.formula), item.at, shown, caught)
        case Variant():
            formula = f"decreases with {', '.join(item.decreases)}: ({'; '.join(map(show, item.sets))})"
            formula += f"\nmay be raised by: {', '.join(item.raised_by) or 'nothing'}"
            return Explanation(id, "variant", item.doc, formula, item.at, shown, caught_by(id, spec, ledger))
        case Ending():
            return Explanation(id, "ending", item.doc, _rests(spec, item), item.at, shown, ())
        case Goal():
            needless = ", ".join(name for name in spec.actions if name in item.may)
            formula = f"{show(item.formula)}\nneed never be taken: {needless or 'nothing'}"
            return Explanation(id, "goal of whole runs", item.doc, formula, item.at, shown, ())
        case Clause():
            action = spec.actions[id.split(".")[1]]
            own = [m for m in alterations(spec, action) if _rule_of(m.id) == id]
            text = show(item.formula, names_for(action.elements))
            return Explanation(id, "guard clause", "", text, item.at, shown, fates(own, spec, ledger))
        case Action():
            lines = [f"{item.name}({', '.join(formals_of(item))})"]
            names = names_for(item.elements)
            lines += [f"  {clause.id.rpartition('.')[2]}: {show(clause.formula, names)}" for clause in item.guard]
            for u in item.updates:
                inner = names_for(u.args, names) if u.whole else names
                place = f"({', '.join(show(arg, inner) for arg in u.args)})" if u.args else ""
                lines.append(f"  {u.variable.name}{place} := {show(u.value, inner)}")
            caught = fates(alterations(spec, item), spec, ledger)
            return Explanation(id, "action", item.doc, "\n".join(lines), item.at, shown, caught)


def _mutant(id: str, specs: Sequence[Spec], ledger: Sequence[Entry]) -> Explanation | None:
    """The mutant of that id, which may have its digest with it, if there is one."""
    for spec in specs:
        for action in spec.actions.values() if id.partition(".")[0] == spec.name else ():
            mutant = next((m for m in alterations(spec, action) if id in (m.id, key_of(m))), None)
            if mutant is None:
                continue
            rule = _rule_of(mutant.id)
            at = next((clause.at for clause in action.guard if clause.id == rule), action.at)
            how = {"~": "altered from within", "/": "a conjunct of it dropped"}.get(
                mutant.id[len(rule) :][:1], "dropped"
            )
            told = fates([mutant], spec, ledger)
            return Explanation(mutant.id, "mutant", f"{rule}, {how}.", mutant.what, at, (), told)
    return None


def _rule_of(mutant: str) -> str:
    """The id of the clause or update that a mutant weakens."""
    return re.sub(r"[~/]\d+$", "", mutant)


def _rests(spec: Spec, ending: Ending) -> str:
    """What a claim that runs end says, and by which variants; where these do not bound all actions, which not."""
    but = f" but {', '.join(ending.but)}" if ending.but else ""
    said = f"every action{but} is taken finitely often"
    order = ", ".join(v.id for v in rests_on(spec, ending))
    if unbounded := open_ends(spec, ending, spec.variants.values()):
        others = f"the others by: {order}" if order else "nor any other"
        return "\n".join((f"{said}; not bounded:", *(f"  {one}" for one in unbounded), others))
    return f"{said}, by: {order}"


def nearest(id: str, known: Iterable[str], most: int = 6) -> list[str]:
    """A few ids that may be meant: of the same last part, spelt nearly so, with it inside, or else of the same spec."""
    known = tuple(known)
    parts = re.split("[.:]", id)
    spec, last = parts[0], parts[-1]
    alike = difflib.get_close_matches(id, known, most)
    named = [k for k in known if last and re.split("[.:]", k)[-1] == last]
    found = [*named, *alike] or [k for k in known if len(last) > 2 and last in k]
    found = found or difflib.get_close_matches(id, [k for k in known if k.startswith(f"{spec}.")], most, cutoff=0.0)
    return list(dict.fromkeys(found))[:most]


def _items(spec: Spec) -> Iterable[tuple[str, Property | Variant | Ending | Goal | Clause | Action]]:
    yield from spec.claims.items()
    yield from ((goal.id, goal) for goal in goals_of(spec))
    for action in spec.actions.values():
        yield f"{spec.name}.{action.name}", action
        yield from ((clause.id, clause) for clause in action.guard)


def evidence_of(id: str, ledger: Iterable[Entry]) -> tuple[Evidence, ...]:
    """What the ledger has on a property."""
    entries = [e for e in ledger if e.property == id]
    old = {(e.property, e.method) for e in stale(entries)}
    return tuple(
        Evidence(e.method, e.status, _sentence(e), (e.property, e.method) not in old, _instances(e)) for e in entries
    )


def extent(instance: Mapping[str, Any]) -> str:
    """What of an instance was looked at: states, depth, sizes, and whether one state stood for all its renamings."""
    sizes = ", ".join(f"{n} {sort}" for sort, n in instance["sizes"].items()) or "no sorts"
    symmetry = f"symmetry {'on' if instance['symmetry'] else 'off'}"
    chosen = f"; {instance['constants']}" if instance.get("constants") else ""
    states = f"{instance['states']:,} state{'' if instance['states'] == 1 else 's'}"
    return f"{states} to depth {instance['depth']}, {symmetry} ({sizes}{chosen})"


_EXTENT: Final = re.compile(r"(?P<reached>.+), (?P<symmetry>symmetry \w+) \((?P<sizes>[^;]+)(?:; (?P<chosen>.+))?\)")


def by_scope(instances: Iterable[str]) -> dict[str, list[str]]:
    """Instances, as :func:`extent` writes them, by what several have in common, symmetry and constants; of each its
    sizes, and what was looked at. What is written otherwise is as it is, in common with none."""
    found: dict[str, list[str]] = {}
    for text in instances:
        if (parts := _EXTENT.fullmatch(text)) is None:
            found.setdefault("", []).append(text)
            continue
        scope = ", ".join(filter(None, parts.group("symmetry", "chosen")))
        found.setdefault(scope, []).append(f"{parts['sizes']}: {parts['reached']}")
    return found


def _instances(entry: Entry) -> tuple[str, ...]:
    driven = map(interleavings, entry.detail.get("explored", ()))
    return (*map(extent, entry.detail.get("instances", ())), *driven)


def _sentence(entry: Entry) -> str:
    detail = entry.detail
    match entry.method:
        case "inductive":
            second = f"; {detail['second_solver']} confirms {detail['confirmed']}" if "confirmed" in detail else ""
            assumed = f", assuming {', '.join(detail['assumptions'])}" if detail.get("assumptions") else ""
            count = f"{detail['obligations']} obligation{'' if detail['obligations'] == 1 else 's'}"
            without = f", without {', '.join(detail['without'])}" if "without" in detail else ""
            return f"{count} by {detail['solver']}{second}; {detail['scope']}{assumed}{without}"
        case "exhaustive" | "reached":
            what = "every state and step of" if entry.method == "exhaustive" else "reached in"
            return f"{what} {'; '.join(_instances(entry))}"
        case "live":
            ends = not any(instance["states_on_cycles"] for instance in detail["instances"])
            return (
                f"every {'' if ends else 'fair '}run{', which ends,' if ends else ''} of {'; '.join(_instances(entry))}"
            )
        case "mutants":
            alone = f", {len(lemmas)} by a lemma alone" if (lemmas := detail.get("by_a_lemma_alone")) else ""
            return (
                f"{detail['mutants']} mutants, {detail['killed']} caught{alone}, {len(detail['equivalent'])} equivalent"
            )
        case "refinement":
            sizes = "; ".join(_instances(entry))
            return f"every interleaving, event by event beside the spec, of {sizes}; {planted(detail)}"
        case _:
            return entry.method


def interleavings(size: Mapping[str, Any]) -> str:
    """What of the plans of a size the core was driven through."""
    counts = ", ".join(f"{size[name]:,} {name}" for name in ("plans", "states", "events", "ends"))
    agents, calls, objects = (f"{size[s]} {s if size[s] > 1 else s[:-1]}" for s in ("agents", "calls", "objects"))
    faults = ", with aborts and retractions" if size["faults"] else ""
    chosen = ", plans that were chosen" if size.get("chosen") else ""
    return f"{counts} ({agents}, {calls} each, {objects}{faults}{chosen})"


def planted(detail: Mapping[str, Any]) -> str:
    """How many bugs, planted in the core, were noticed."""
    caught = len(detail["planted"])
    return f"{caught} of {caught + len(detail['escaped'])} planted bugs caught"


@attrs.frozen
class Standing:
    """How the installed sources stand. ``holds``: every property has evidence for the sources as they are."""

    rows: tuple[tuple[str, tuple[Evidence, ...]], ...]
    missing: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Nothing is missing and nothing has changed since it was shown."""
        return not self.missing and not self.changed

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        rows = [{"property": id, "evidence": [attrs.asdict(e) for e in found]} for id, found in self.rows]
        return {"holds": self.holds, "missing": list(self.missing), "changed": list(self.changed), "properties": rows}


def standing(specs: Sequence[Spec], entries: Iterable[Entry] | None = None) -> Standing:
    """What is shown of every property of the specs, and of the core."""
    ledger = list(read_ledger() if entries is None else entries)
    rows = []
    for spec in specs:
        ids = [p.id for p in spec.properties.values() if p.role != "assumption"]
        ids += [*spec.variants, *spec.endings, *(goal.id for goal in goals_of(spec)), f"{spec.name}.mutants"]
        rows += [(id, evidence_of(id, ledger)) for id in ids]
    rows.append((REFINES, evidence_of(REFINES, ledger)))
    missing = tuple(id for id, found in rows if not found)
    changed = tuple(f"{id} ({e.method})" for id, found in rows for e in found if not e.fresh)
    return Standing(tuple(rows), missing, changed)


def held_before(name: str, entries: Iterable[Entry] | None = None) -> bool:
    """Whether the ledger, by default that of the installed package, says of a built-in spec that all its mutants were
    tried with the sources as they are: then it was asked whether the spec itself holds, and it does."""
    ledger = read_ledger() if entries is None else entries
    found = [entry for entry in ledger if entry.property == f"{name}.mutants"]
    return bool(found) and not stale(found)
