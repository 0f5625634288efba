"""Training that the adapters of a cluster share: one actor leads the run, the others compute gradients of their own images.

In each step every actor computes the gradients of its own batch. The one that leads averages them, in the order of the actors and in
f64, makes the optimiser's step, and sends the new parameters with its next request. Both ways go through Ray's object store: Ray's
collective over Gloo would need PyTorch, and promises no order of its sums.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import gpu_resnet
from gpu_resnet import _native, errors
from gpu_resnet._machine import machine, said
from gpu_resnet._training import Epoch, Run, called, described, ended
from gpu_resnet.ray._adapters import Adapters, claim, number, placement, registry

_DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(gpu_resnet.finetune).parameters.items()}
# What has no meaning here, or is said otherwise.
_OTHERS = {"data", "features", "output", "adapter", "callback", "recipe"}


def train(
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    arch: str | None = None,
    shortcut: str | None = None,
    stride_in: str | None = None,
    adapters: Adapters = None,
    actors: int | None = None,
    callback: Callable[[Epoch], Any] | None = None,
    **options: Any,
) -> Run:
    """Trains a network on the adapters of the cluster together, into the run's folder `output`.

    With `arch` (and `shortcut`, `stride_in`) it is trained from scratch, as `gpu-resnet train` does with the same options and defaults.
    Without, a pretrained network (`weights`) is trained for classes of your own, all of it unless `unfreeze` names a part. Other options
    are those of `finetune`; `batch_size` is that of one adapter. `data` must be the same place on every node, and `output` one of the
    caller's. `adapters` are numbers or names that every node has, `actors` the number of actors, as in `run`; the same ones give the
    same bits in every run.

    Started again with the same arguments, it goes on after its last whole epoch, whatever ended it. `callback` is called with each
    epoch's measurements.
    """
    asked = _options(data, arch, options)
    count = actors or number(adapters)
    reports = _Reports.remote()
    book = registry()
    here = ray.get_runtime_context().get_node_id()
    first = NodeAffinitySchedulingStrategy(here, soft=True)
    leader = _Actor.options(**placement(), scheduling_strategy=first).remote(book, adapters, asked)
    others = [_Actor.options(**placement(), scheduling_strategy="SPREAD").remote(book, adapters, asked) for _ in range(count - 1)]
    names = {"arch": arch, "shortcut": shortcut, "stride_in": stride_in}
    try:
        running = leader.lead.remote(names, os.path.abspath(output), others, reports)
        result = _wait(running, reports, callback)
    except ray.exceptions.RayActorError:
        raise errors.Error(f"the actor that leads the run died; {_GO_ON}") from None
    finally:
        for actor in [leader, *others, reports, book]:
            ray.kill(actor)
    if "error" in result:
        kind, sentence = result["error"]
        raise getattr(errors, kind)(sentence)
    return ended(result["summary"])


_GO_ON = "start the job again, and it goes on after the last whole epoch"


def _wait(running: Any, reports: Any, callback: Callable[[Epoch], Any] | None) -> dict[str, Any]:
    """The result of `running`; meanwhile epochs are handed to `callback`, and sentences to `logging`."""
    done: list[Any] = []
    while True:
        if not done:
            done, _ = ray.wait([running], timeout=0.2)
        sentences, epochs = ray.get(reports.take.remote())
        for level, text in sentences:
            said(level, text)
        for epoch in epochs:
            if callback is not None:
                callback(json.loads(epoch))
        if done:
            return ray.get(running)


def _options(data: str | os.PathLike[str], arch: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """All keywords of `finetune`, with the defaults of the command that it is."""
    if unknown := sorted(set(options) - set(_DEFAULTS) | set(options) & _OTHERS):
        raise errors.UsageError(f"train() knows no option {unknown[0]}=")
    asked = _DEFAULTS | {"data": os.path.abspath(data) if os.path.exists(data) else os.fspath(data), "unfreeze": "all"}
    if arch is None:
        return asked | options
    if named := sorted(set(options) & {"weights", "overrides", "unfreeze", "backbone_lr", "bn"}):
        raise errors.UsageError(f"{named[0]}= is for a network that is trained already; leave it or arch= out")
    optimizer = options.get("optimizer", "sgd")
    scratch = {
        "optimizer": optimizer,
        "batch_size": 128,
        "epochs": 20,
        "lr": 0.1 if optimizer == "sgd" else 1e-3,
        "weight_decay": 1e-4 if optimizer == "sgd" else None,
        "bn": "train",
    }
    return asked | scratch | options


@ray.remote(num_cpus=0, max_concurrency=2)
class _Reports:
    """Keeps what the run has to say until the caller takes it."""

    def __init__(self) -> None:
        self._sentences: list[tuple[str, str]] = []
        self._epochs: list[str] = []

    def say(self, level: str, text: str) -> None:
        self._sentences.append((level, text))

    def epoch(self, text: str) -> None:
        self._epochs.append(text)

    def take(self) -> tuple[list[tuple[str, str]], list[str]]:
        taken = self._sentences, self._epochs
        self._sentences, self._epochs = [], []
        return taken


@ray.remote(max_restarts=0)
class _Actor:
    """An adapter, which leads the run or computes gradients for the one that does."""

    def __init__(self, book: Any, adapters: Adapters, asked: dict[str, Any]) -> None:
        self._asked = asked | {"adapter": claim(book, adapters)}
        self._worker: Any = None

    def lead(self, names: dict[str, Any], output: str, others: Sequence[Any], reports: Any) -> dict[str, Any]:
        """Trains, with the actors `others`; the run's summary, or the error that ended it."""
        try:
            options = json.dumps(names | {"options": described(self._asked)})

            # What is said is there before the run ends.
            def hear(level: str, text: str) -> None:
                ray.get(reports.say.remote(level, text))

            def epoch(text: str) -> None:
                ray.get(reports.epoch.remote(text))

            return {"summary": _native.train(options, output, hear, epoch, _Others(others))}
        except errors.Error as error:
            return {"error": (type(error).__name__, str(error))}

    def open(self, job: str, state: Any, index: int) -> str | tuple[str, str]:
        """Opens this actor's worker; the name of its adapter, or the kind of error and its sentence."""
        keys = ("adapter", "precision", "backend", "offline", "tuned")
        on = machine(*(self._asked[key] for key in keys))
        try:
            self._worker = _native.Worker(job, state, index, json.dumps(on), said)
        except errors.Error as error:
            return type(error).__name__, str(error)
        return f"{self._worker.adapter} on {ray.util.get_node_ip_address()}"

    def gradients(self, epoch: int, step: int, loss_scale: float, parameters: Any) -> Any:
        """This actor's part of a step, or the kind of error and its sentence."""
        try:
            return self._worker.gradients(epoch, step, loss_scale, parameters)
        except errors.Error as error:
            return type(error).__name__, str(error)


class _Others:
    """The workers as the native half reaches them."""

    def __init__(self, actors: Sequence[Any]) -> None:
        self._actors = list(actors)
        self._pending: list[Any] = []
        self.count = len(self._actors)

    def begin(self, job: str, state: Any) -> list[str]:
        held = ray.put(state)
        opened = self._all([actor.open.remote(job, held, i) for i, actor in enumerate(self._actors)])
        for name in opened:
            if not isinstance(name, str):
                raise getattr(errors, name[0])(name[1])
        return opened

    def start(self, epoch: int, step: int, loss_scale: float, parameters: Any) -> None:
        held = ray.put(parameters)
        self._pending = [actor.gradients.remote(epoch, step, loss_scale, held) for actor in self._actors]

    def finish(self) -> list[Any]:
        parts = self._all(self._pending)
        for part in parts:
            if isinstance(part[0], str):
                raise getattr(errors, part[0])(part[1])
        return parts

    def _all(self, pending: Sequence[Any]) -> list[Any]:
        """The results, in order. The first actor that is found dead ends it, whatever the others still compute."""
        left = list(pending)
        try:
            while left:
                done, left = ray.wait(left, num_returns=1)
                ray.get(done)
            return ray.get(list(pending))
        except ray.exceptions.RayActorError:
            worker = next((i for i, found in enumerate(pending) if found in done), 0)
            raise errors.Error(f"worker {worker + 1} of {self.count} died; {_GO_ON}") from None
