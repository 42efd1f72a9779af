"""Long logs that are made up, and logs in which something is wrong."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from pathlib import Path
from typing import Any

import attrs

from mtpo.spec.records import Record

Records = list[Record]


def _generator() -> Any:
    folder = Path(__file__).parents[1] / "bench"
    sys.path.insert(0, str(folder))
    try:
        found = importlib.util.spec_from_file_location("bench_replay", folder / "replay.py")
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module.generated


generated = _generator()


def mutated(records: Records, chance: random.Random) -> Records:
    """A log with one thing wrong, perhaps."""
    n, other = chance.randrange(1, len(records)), chance.randrange(1, len(records))
    body = json.loads(json.dumps(records[n].body))
    match chance.randrange(6):
        case 0:
            return [*records[:n], *records[n + 1 :]]
        case 1:
            return [*records[:n], records[n], *records[n:]]
        case 2:
            records[n], records[other] = records[other], records[n]
        case 3 if lists := [part for part in ("members", "stale", "reads", "writes") if body.get(part)]:
            body[chance.choice(lists)].pop()
        case 4 if tables := [part for part in ("out", "restored") if body.get(part)]:
            part = chance.choice(tables)
            body[part][chance.choice(list(body[part]))] = f"{chance.randrange(20):064x}"
        case _ if saw := body.get("saw"):
            calls = [r.call for r in records if r.kind == "call"]
            sight = saw[chance.choice(list(saw))]
            sight["write"] = chance.choice([*calls, None])
        case _:
            body |= {"policy": "cancel"} if "policy" in body else {"changed": not body.get("changed")}
    return [attrs.evolve(r, body=body) if r is records[n] else r for r in records]
