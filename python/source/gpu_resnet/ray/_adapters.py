"""Which adapters the nodes have, and which of its node's an actor takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import gpu_resnet

Adapters = Sequence[int | str] | None

# What a node may declare its adapters as, in `ray start --resources`.
RESOURCE = "adapter"


def usable() -> list[int]:
    """The numbers of this node's adapters, each device once: those with hardware behind them, or else the best software driver."""
    found = [device for device in gpu_resnet.devices() if device["unusable"] is None]
    hardware = [device for device in found if device["kind"] != "cpu"]
    # A GPU that Vulkan, Metal or DX12 shows is there a second time through GL.
    native = [device for device in hardware if device["backend"] != "gl"]
    return [device["index"] for device in native or hardware or found[:1]]


@ray.remote(num_cpus=0)
def _usable() -> list[int]:
    return usable()


def declared() -> int:
    """How many adapters the nodes declare, as the custom resource `adapter`."""
    return int(ray.cluster_resources().get(RESOURCE, 0))


def number(adapters: Adapters) -> int:
    """How many adapters the cluster has: those that nodes declare, or `adapters` of every node, or those that are found there."""
    if count := declared():
        return count
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    if adapters is not None:
        return len(nodes) * len(adapters)
    asked = [_usable.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote() for node in nodes]
    if count := sum(len(found) for found in ray.get(asked)):
        return count
    raise gpu_resnet.NoAdapterError("no node of the cluster has a usable adapter; `gpu-resnet devices` on a node says why")


def placement() -> dict[str, Any]:
    """What an actor is given so that as many come to a node as it declares adapters."""
    return {"resources": {RESOURCE: 1}} if declared() else {}


def pool(adapters: Adapters, actors: int | None) -> dict[str, Any]:
    """What `map_batches` takes for an actor for each adapter of the cluster. Nodes that declare how many they have get so many actors;
    without it Ray spreads actors evenly over nodes."""
    from ray.data import ActorPoolStrategy

    return {"compute": ActorPoolStrategy(size=actors or number(adapters))} | placement()


@ray.remote(num_cpus=0)
class Registry:
    """Hands each actor an adapter of its node, the one that fewest others there have."""

    def __init__(self) -> None:
        self._taken: dict[str, tuple[str, int | str]] = {}

    def claim(self, node: str, actor: str, adapters: list[int | str]) -> int | str:
        # An actor that is started again, maybe on another node, gives back what it had.
        self._taken.pop(actor, None)
        count = Counter(adapter for there, adapter in self._taken.values() if there == node)
        chosen = min(adapters, key=lambda adapter: count[adapter])
        self._taken[actor] = (node, chosen)
        return chosen


def registry() -> Any:
    """A registry on the node of this process, which ends with the job anyway."""
    here = ray.get_runtime_context().get_node_id()
    made: Any = Registry
    return made.options(scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False)).remote()


def claim(of: Any, adapters: Adapters) -> int | str:
    """The adapter of the actor that calls."""
    context = ray.get_runtime_context()
    candidates = list(adapters) if adapters is not None else usable()
    if not candidates:
        raise gpu_resnet.NoAdapterError("this node has no usable adapter; `gpu-resnet devices` on it says why")
    return ray.get(of.claim.remote(context.get_node_id(), context.get_actor_id() or "", candidates))
