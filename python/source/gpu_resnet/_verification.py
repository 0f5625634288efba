"""What the machine has, and whether it computes right."""

from __future__ import annotations

import json
import sys
from typing import Any, Literal

from . import _native
from ._machine import machine, said
from .errors import UsageError


def devices(backend: str | None = None) -> list[dict[str, Any]]:
    """Every adapter of the machine, as `gpu-resnet devices --json` prints them: `index` and `name`, which `adapter=` takes,
    `kind`, `driver`, limits, features, and the kernels that it can run.

    Raises `NoAdapterError` where there is none.
    """
    return json.loads(_native.devices(backend))


def verify(
    adapter: int | str | None = None,
    *,
    suite: Literal["quick", "kernels", "full"] = "quick",
    filter: str | None = None,
    timeout: float = 300.0,
    jobs: int | None = None,
    limit: float | None = None,
    controls: bool = True,
    backend: str | None = None,
) -> dict[str, Any]:
    """Whether an adapter's driver is right: every kernel against its f64 twin, and kernels broken on purpose, which must be
    caught. Gives the report that `gpu-resnet verify --report` writes.

    `filter` is a regular expression over cases, such as "^relu ". A case may take `timeout` seconds, all of them `limit`.
    `controls` says whether broken kernels are tried too; only with them does the report's `valid` say anything. Cases run in
    processes of their own, so a driver that crashes ends a case and not Python.

    >>> report = verify(filter="^relu ")
    >>> [case["status"] for run in report["adapters"] for case in run["cases"]]    # doctest: +SKIP
    """
    if not sys.executable:
        raise UsageError("cases run in processes of Python, but sys.executable does not name it; run `gpu-resnet verify` instead")
    asked = {
        "machine": machine(adapter, None, backend),
        "suite": suite,
        "filter": filter,
        "timeout": timeout,
        "jobs": jobs,
        "limit": limit,
        "controls": controls,
    }
    return json.loads(_native.verify(json.dumps(asked), sys.executable, ["-m", "gpu_resnet._child"], said))
