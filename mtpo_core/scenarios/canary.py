"""The canary case (CoAgent, the motivating run).

Agent A repairs every deployment that runs a bad image; agent B makes a canary of service ``geo`` from its manifest. A
scans before the canary exists, B reads before A has repaired: without coordination the canary runs the bad image, and
both report success. The write sets are disjoint; the bug is in the reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mtpo_core.minds.replayed import Memory, Move, ReplayedMind
from mtpo_core.scenarios.base import AgentSpec, Scenario
from mtpo_core.tools import ToolCall

BAD, GOOD = "shop:bad", "shop:good"


def manifest(name: str, image: str, replicas: int) -> str:
    """A deployment manifest."""
    return f"kind: Deployment\nname: {name}\nimage: {image}\nreplicas: {replicas}\n"


class Repairer(ReplayedMind):
    """Wants no manifest with the bad image, and the repair committed."""

    done = "Every image is good."

    def plan(self, memory: Memory) -> Iterator[Move]:
        """Scan everything, then repair what is bad, then commit."""
        paths = [f"deploy/{name}" for name in memory.listing("deploy/") if name.endswith(".yaml")]
        texts = {path: memory.file(path) or "" for path in paths}
        for path, text in texts.items():
            if BAD in text:
                yield Move("The image is bad.", ToolCall("replace", {"path": path, "old": BAD, "new": GOOD}))
        changed = sorted(memory.uncommitted)
        if changed:
            yield Move(
                "Commit.",
                ToolCall("git_commit", {"paths": changed, "message": "Repair"}),
            )


class CanaryMaker(ReplayedMind):
    """Wants a canary of geo that mirrors its image, announced and committed."""

    done = "The canary is made."

    def plan(self, memory: Memory) -> Iterator[Move]:
        """Mirror the manifest with one replica, announce it, commit."""
        source = memory.file("deploy/geo.yaml") or ""
        wanted = source.replace("name: geo\n", "name: geo-canary\n").replace("replicas: 3\n", "replicas: 1\n")
        path = "deploy/canary.yaml"
        if path not in memory.mine:
            yield Move("Make it.", ToolCall("create_file", {"path": path, "content": wanted}))
        elif (canary := memory.file(path) or "") != wanted:
            images = [next(ln for ln in text.splitlines() if ln.startswith("image: ")) for text in (canary, wanted)]
            yield Move(
                "It must mirror geo.",
                ToolCall("replace", {"path": path, "old": images[0], "new": images[1]}),
            )
        line = "- geo-canary\n"
        if line not in (memory.file("rollouts.md") or ""):
            yield Move("Announce it.", ToolCall("append", {"path": "rollouts.md", "content": line}))
        changed = sorted(memory.uncommitted)
        if changed:
            yield Move("Commit.", ToolCall("git_commit", {"paths": changed, "message": "Canary"}))


def _no_bad_image(files: Mapping[str, str]) -> bool:
    return not any(BAD in text for path, text in files.items() if path.startswith("deploy/"))


def _canary_mirrors(files: Mapping[str, str]) -> bool:
    image = next((ln for ln in files.get("deploy/geo.yaml", "").splitlines() if ln.startswith("image:")), "?")
    return image in files.get("deploy/canary.yaml", "")


CANARY = Scenario(
    name="canary",
    title="A canary of a service that is being repaired",
    story=(
        "A repairs every deployment that runs a bad image; B makes a canary of geo by mirroring its manifest. "
        "A scans before the canary exists, B reads before A has repaired geo."
    ),
    files={
        "deploy/api.yaml": manifest("api", GOOD, 2),
        "deploy/cart.yaml": manifest("cart", BAD, 2),
        "deploy/geo.yaml": manifest("geo", BAD, 3),
        "deploy/search.yaml": manifest("search", BAD, 2),
        "rollouts.md": "# Rollouts\n\n- api\n",
    },
    agents=(
        AgentSpec("A repairer", f"Replace image {BAD} by {GOOD} in every manifest in deploy/ and commit.", Repairer),
        AgentSpec("B canary", "Make a canary of service geo with one replica, announce it, and commit.", CanaryMaker),
    ),
    wanted={
        "no manifest runs the bad image": _no_bad_image,
        "the canary runs the image of geo": _canary_mirrors,
    },
)
