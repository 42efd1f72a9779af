"""Hand-made logs in the vocabulary of docs/records.md: small, but chained and worded as a runtime writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from mtpo.spec.records import GENESIS, VERSION, Record, digest, value_digest

SALT = b"a salt of the tests"
Saw = Mapping[str, tuple[str | None, str | None]]


class Log:
    """Appends records; keeps the values that they name."""

    def __init__(
        self, mode: str, initial: Mapping[str, str] | None = None, scenario: str = "case", policy: str = "replay"
    ) -> None:
        self.records: list[Record] = []
        self.values: dict[str, bytes | None] = {}
        self.prev = GENESIS
        self.state: dict[str, str | None] = dict(initial or {})
        self.top: dict[str, str | None] = {}
        named = {name: self.put(value) for name, value in (initial or {}).items()}
        self.add(
            "run-open", 0.0, mode=mode, policy=policy, scenario=scenario, inference="replayed minds", initial=named
        )

    def put(self, value: str | None) -> str:
        data = None if value is None else value.encode("utf-8", "surrogatepass")
        name = value_digest(SALT, data)
        self.values[name] = data
        return name

    def add(self, kind: str, t: float, agent: int | None = None, call: str | None = None, **body: Any) -> Record:
        record = Record(VERSION, "r1", len(self.records), t, agent, call, kind, body, self.prev)
        self.records.append(record)
        self.prev = digest(record)
        return record

    def launch(self, rank: int, name: str, task: str = "") -> None:
        self.add("launch", 0.0, rank, name=name, task=task)

    def infer(self, rank: int, began: float, t: float, new: int, prompt: int = 400, text: str = "…") -> None:
        steps = [round(began * 30), round(t * 30)]
        self.add("infer", t, rank, began=began, prompt_tokens=prompt, new_tokens=new, steps=steps, text=self.put(text))

    def saw(self, names: Sequence[str]) -> dict[str, Any]:
        return {name: {"write": self.top.get(name), "digest": self.put(self.state.get(name))} for name in names}

    def read(
        self, t: float, call: str, tool: str, names: Sequence[str], result: str | None = None, filtered: bool = False
    ) -> None:
        rank = int(call.split(".")[0])
        shown = result if result is not None else "\n".join(self.state.get(name) or "" for name in names)
        args = self.put(json.dumps({"path": names[0]}))
        self.add(
            "read", t, rank, call, tool=tool, args=args, saw=self.saw(names), filtered=filtered, result=self.put(shown)
        )

    def call(
        self, t: float, call: str, tool: str, writes: Sequence[str], args: Mapping[str, Any] | None = None,
        rmw: bool = True, invertible: bool = True, members: Sequence[str] = (),
    ) -> None:  # fmt: skip
        rank = int(call.split(".")[0])
        self.add(
            "call", t, rank, call, tool=tool, args=self.put(json.dumps(args or {"path": writes[0]})), reads=[],
            writes=list(writes), **{"class": "rmw" if rmw else "blind"}, invertible=invertible, members=list(members),
        )  # fmt: skip

    def apply(self, t: float, call: str, out: Mapping[str, str | None], kind: str = "applied", **body: Any) -> None:
        rank = int(call.split(".")[0])
        seen = self.saw(list(out))
        left = {name: self.put(value) for name, value in out.items()}
        self.state.update(out)
        self.top.update(dict.fromkeys(out, call))
        self.add(kind, t, rank, call, saw=seen, out=left, result=self.put("ok"), **body)

    def write(
        self, t: float, call: str, tool: str, out: Mapping[str, str | None], args: Mapping[str, Any] | None = None,
        took: float = 0.04, rmw: bool = True,
    ) -> None:  # fmt: skip
        rank = int(call.split(".")[0])
        self.call(t, call, tool, list(out), args, rmw)
        self.add("prepared", t + took / 4, rank, call, undo=self.put("undo"))
        self.add("exec", t + took / 2, rank, call)
        self.apply(t + took, call, out)

    def undo(self, t: float, call: str, by: str, back: Mapping[str, str | None], top: Mapping[str, str | None]) -> None:
        rank = int(call.split(".")[0])
        self.add("undo", t - 0.02, rank, call, by=by)
        self.state.update(back)
        self.top.update(top)
        self.add("undone", t, rank, call, by=by, restored={name: self.put(value) for name, value in back.items()})

    def close(self, t: float, outcome: str = "complete", error: str | None = None) -> None:
        final = {name: self.put(value) for name, value in self.state.items()}
        self.add("close", t, final=final, outcome=outcome, error=error)


def manifest(name: str, image: str, replicas: int = 3) -> str:
    return f"kind: Deployment\nname: {name}\nreplicas: {replicas}\nimage: {image}\nport: 8080\n"


BAD, GOOD = "registry/app:1.4.2", "registry/app:1.4.3"
CLUSTER = {
    "deploy/": "auth.yaml\ncart.yaml\ngeo.yaml",
    "deploy/auth.yaml": manifest("auth", GOOD),
    "deploy/cart.yaml": manifest("cart", BAD),
    "deploy/geo.yaml": manifest("geo", BAD),
}
TASKS = ("repair every manifest in deploy/ whose image is 1.4.2", "make a canary of geo that mirrors its image")


def canary(mode: str) -> Log:
    """A repairs the manifests with a bad image; B makes a canary of geo by mirroring its image."""
    log = Log(mode, CLUSTER, "canary")
    log.launch(0, "A", TASKS[0])
    log.launch(1, "B", TASKS[1])
    geo = ["deploy/geo.yaml"]
    late = 7.5 if mode == "serial" else 0.0
    steps = [
        (1.1 + late, lambda: (log.infer(1, late, 1.1 + late, 31), log.read(1.11 + late, "1.0", "read_file", geo))),
        (1.3, lambda: (log.infer(0, 0.0, 1.3, 38), log.read(1.31, "0.0", "list_dir", ["deploy/"]))),
        (2.4, lambda: (log.infer(0, 1.31, 2.4, 29), log.read(2.41, "0.1", "search", ["deploy/", *list(CLUSTER)[1:]]))),
        (3.7 + late, lambda: (log.infer(1, 1.11 + late, 3.7 + late, 84), make(log, 3.7 + late))),
        (4.55 + late, lambda: (log.infer(1, 3.78 + late, 4.55 + late, 22), log.add("finish", 4.55 + late, 1))),
        (4.7, lambda: (log.infer(0, 2.41, 4.7, 76), mend(log, 4.7, "0.2", "geo"))),
        (6.5, lambda: (log.infer(0, 4.78, 6.5, 58), mend(log, 6.5, "0.3", "cart"))),
        (7.4, lambda: (log.infer(0, 6.58, 7.4, 24), log.add("finish", 7.4, 0))),
    ]  # fmt: skip
    if mode == "mtpo":
        name = "deploy/geo-canary.yaml"
        fixed = {name: manifest("geo-canary", GOOD, 1)}
        premise = {
            "call": "1.0", "object": "deploy/geo.yaml", "was": log.put(manifest("geo", BAD)),
            "now": log.put(manifest("geo", GOOD)), "write": "0.2",
        }  # fmt: skip
        steps += [
            (4.8, lambda: (
                log.add("settle", 4.79, 0, "0.2", stale=["1.0"]),
                log.add("notify", 4.8, 1, id="n1", by="0.2", premises=[premise], results=[]),
                log.add("reopen", 4.8, 1), log.add("deliver", 4.82, 1, ids=["n1"]),
            )),
            (6.4, lambda: (
                log.infer(1, 4.82, 6.4, 49, 710), log.add("judge", 6.4, 1, ids=["n1"], verdict="repair", waiver=None),
                log.write(6.41, "1.2", "replace", fixed, {"path": name, "old": BAD, "new": GOOD}),
            )),
            (7.2, lambda: (log.infer(1, 6.46, 7.2, 19), log.add("finish", 7.2, 1))),
        ]  # fmt: skip
    if mode == "serial":
        steps.append((7.41, lambda: log.add("commit", 7.41, 0)))
    for _, act in sorted(steps, key=lambda step: step[0]):
        act()
    end = max(record.t for record in log.records)
    for rank in (1,) if mode == "serial" else (0, 1):
        log.add("commit", end + 0.01 + rank * 0.02, rank)
    log.close(end + 0.05)
    return log


def make(log: Log, t: float) -> None:
    image = next(line for line in (log.state["deploy/geo.yaml"] or "").splitlines() if line.startswith("image: "))
    # The mind mirrors what it read before it thought; in the concurrent modes that is the bad image.
    value = manifest("geo-canary", image.removeprefix("image: "), 1)
    listing = (log.state["deploy/"] or "").replace("geo.yaml", "geo-canary.yaml\ngeo.yaml")
    log.write(
        t, "1.1", "create_file", {"deploy/geo-canary.yaml": value, "deploy/": listing},
        {"path": "deploy/geo-canary.yaml", "text": value}, rmw=False, took=0.08,
    )  # fmt: skip


def mend(log: Log, t: float, call: str, service: str) -> None:
    name = f"deploy/{service}.yaml"
    log.write(t, call, "replace", {name: manifest(service, GOOD)}, {"path": name, "old": BAD, "new": GOOD}, took=0.08)


LIMITS = "requests: 100\nburst: 20\n"
ROUTES = "/: web\n/api: api\n"
NEWS = "# Changes\n"


def reversed_ranks() -> Log:
    """B and C have written three files when A, of lower rank, writes one of them: undo, apply, redo; one redo fails."""
    start = {"config/limits.yaml": LIMITS, "config/routes.yaml": ROUTES, "CHANGES.md": NEWS}
    log = Log("mtpo", start, "rank-reversed writes")
    for rank, name in enumerate(("platform", "gateway", "docs")):
        log.launch(rank, name, f"the work of {name}")
    b0 = {"config/limits.yaml": LIMITS + "gateway: 50\n", "config/routes.yaml": ROUTES + "/v2: gateway\n"}
    c0 = {"CHANGES.md": NEWS + "- gateway gets 50 of 100 requests\n"}
    c1 = {"config/limits.yaml": (b0["config/limits.yaml"]).replace("burst: 20", "burst: 20 # see CHANGES")}
    log.infer(1, 0.0, 0.9, 27)
    log.read(0.91, "1.0", "read_file", ["config/limits.yaml"])
    log.infer(0, 0.0, 1.2, 33)
    log.read(1.21, "0.0", "read_file", ["config/routes.yaml"])
    log.infer(1, 0.91, 2.1, 41)
    log.write(2.1, "1.1", "add_route", b0, {"path": "/v2", "to": "gateway", "share": 50})
    log.infer(2, 0.0, 2.5, 70)
    log.read(2.5, "2.0", "read_file", ["config/limits.yaml"])
    log.infer(2, 2.5, 3.4, 31)
    log.write(3.4, "2.1", "append", c0, {"path": "CHANGES.md", "text": "- gateway gets 50 of 100 requests"})
    log.infer(2, 3.44, 4.3, 25)
    log.write(4.3, "2.2", "replace", c1, {"path": "config/limits.yaml", "old": "burst: 20", "new": "burst: 20 # …"})
    log.infer(0, 1.21, 5.0, 120)
    late = {"config/limits.yaml": "requests: 400\nburst: 80\n"}
    log.call(5.0, "0.1", "write_file", list(late), {"path": "config/limits.yaml"}, False, True, ["1.1", "2.2"])
    log.undo(5.1, "2.2", "0.1", {"config/limits.yaml": b0["config/limits.yaml"]}, {"config/limits.yaml": "1.1"})
    back = {"config/limits.yaml": LIMITS, "config/routes.yaml": ROUTES}
    log.undo(5.2, "1.1", "0.1", back, dict.fromkeys(back))
    log.apply(5.3, "0.1", late)
    log.add("redo", 5.38, 1, "1.1", by="0.1")
    b1 = {**b0, "config/limits.yaml": late["config/limits.yaml"] + "gateway: 50\n"}
    log.apply(5.42, "1.1", b1, "redone", by="0.1", changed=True)
    log.add("redo", 5.48, 2, "2.2", by="0.1")
    log.add("stranded", 5.5, 2, "2.2", by="0.1", error="replace: 'burst: 20' is not in config/limits.yaml")
    log.add("settle", 5.52, 0, "0.1", stale=["1.0", "2.0"])

    def changed(call: str, old: str, new: str) -> dict[str, str | None]:
        return {"call": call, "object": "config/limits.yaml", "was": log.put(old), "now": log.put(new), "write": "0.1"}

    seen = changed("1.0", LIMITS, late["config/limits.yaml"])
    log.add("notify", 5.53, 1, id="n1", by="0.1", premises=[seen], results=[])
    seen = changed("2.0", b0["config/limits.yaml"], b1["config/limits.yaml"])
    lost = {"call": "2.2", "status": "stranded", "was": log.put(c1["config/limits.yaml"]), "now": None}
    log.add("notify", 5.54, 2, id="n2", by="0.1", premises=[seen], results=[lost])
    log.infer(1, 2.14, 6.0, 118)
    log.add("bounce", 6.0, 1, tool="git_push", args=log.put('{"remote": "origin"}'), ids=["n1"])
    log.add("deliver", 6.02, 1, ids=["n1"])
    log.infer(2, 4.34, 6.3, 60)
    log.add("deliver", 6.31, 2, ids=["n2"])
    log.infer(0, 5.34, 6.6, 40)
    log.add("finish", 6.6, 0)
    log.infer(1, 6.02, 7.0, 30)
    log.add("judge", 7.0, 1, ids=["n1"], verdict="ignore", waiver="replayed")
    log.call(7.0, "1.2", "git_push", ["git:remote/origin/main"], {"remote": "origin"}, True, False)
    log.infer(2, 6.31, 7.9, 52)
    log.add("judge", 7.9, 2, ids=["n2"], verdict="repair", waiver=None)
    log.add("gate", 7.01, 1, "1.2", waits_for=[0])
    again = {"config/limits.yaml": b1["config/limits.yaml"].replace("burst: 80", "burst: 80 # see CHANGES")}
    log.write(7.92, "2.3", "replace", again, {"path": "config/limits.yaml", "old": "burst: 80", "new": "burst: 80 # …"})
    log.infer(2, 7.96, 8.8, 44)
    log.write(8.8, "2.4", "replace", {"CHANGES.md": NEWS + "- gateway gets 50 of 400 requests\n"}, {"old": "100"})
    log.add("commit", 8.9, 0)
    log.apply(9.1, "1.2", {"git:remote/origin/main": "9f3c2e1"})
    log.infer(1, 9.1, 9.6, 12)
    log.add("finish", 9.6, 1)
    log.add("commit", 9.61, 1)
    log.infer(2, 8.84, 9.7, 18)
    log.add("finish", 9.7, 2)
    log.add("commit", 9.72, 2)
    log.close(9.75)
    return log


@pytest.fixture(scope="session")
def new_log() -> type[Log]:
    return Log


@pytest.fixture(scope="session")
def canary_logs() -> dict[str, Log]:
    return {mode: canary(mode) for mode in ("serial", "naive", "mtpo")}


@pytest.fixture(scope="session")
def reversed_log() -> Log:
    return reversed_ranks()
