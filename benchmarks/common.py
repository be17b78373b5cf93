"""What all benchmarks share: timing in turns, the machine in words, and committed result files."""

from __future__ import annotations

import gc
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def best_of(function: Callable[[], Any], repeat: int = 5) -> float:
    """Smallest time of `repeat` calls, in seconds, after one call to warm up."""
    return in_turns({"it": function}, repeat)["it"]["best_s"]


def in_turns(functions: Mapping[str, Callable[[], Any]], repeat: int = 9) -> dict[str, dict[str, float]]:
    """Time several functions in turns, so that a busy spell of the machine touches all of them alike.

    Returns {name: {"best_s", "median_s"}}; on CUDA each call is followed by a synchronisation.
    """
    import torch

    times: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(repeat):
        for name, function in functions.items():
            gc.collect()
            _synchronise(torch)
            start = time.perf_counter()
            result = function()
            _synchronise(torch)
            times[name].append(time.perf_counter() - start)
            del result
    return {name: {"best_s": min(t), "median_s": statistics.median(t)} for name, t in times.items()}


def _synchronise(torch: Any) -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def machine() -> dict[str, Any]:
    """Processor, cores, accelerator and versions."""
    import torch

    model = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    found = {"cpu": model, "threads": torch.get_num_threads(), "python": platform.python_version()}
    found["torch"] = torch.__version__
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def write_results(name: str, results: Mapping[str, Any]) -> Path:
    """Write benchmarks/results/<name>.json with the machine beside the numbers."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **results}, indent=1) + "\n")
    print(f"written: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    return path
