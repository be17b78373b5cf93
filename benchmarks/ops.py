"""Segment reductions, gathers and sparse products with their gradients, against named peers in the same run.

    python benchmarks/ops.py            # a few minutes on two idle cores
    python benchmarks/ops.py --quick    # a few seconds, small arrays: checks the script, not the speed

Each implementation of a case runs in turn, round after round, so that a slow spell of the machine hits all alike; the
best and the median round are kept. On CPU everything is measured twice, in fresh processes: with the allocator as it
is, and after `meshlearn.ops.tune_allocator()`. Results go to benchmarks/results/ops_<device>.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
SIZES = {"large": (100_000, 600_000, 64), "small": (2_000, 12_000, 128)}
QUICK = {"large": (5_000, 30_000, 64), "small": (500, 3_000, 16)}
BOUND = {
    "segment_sum": "memory: messages read once, their gradient written once",
    "segment_mean": "memory: as the sum, and one pass over the rows",
    "segment_max": "memory and calls: the backward reads the messages again, in blocks that stay in cache",
    "segment_softmax": "memory and exp: three passes per direction, in blocks that stay in cache",
    "gather_senders": "random reads of rows, then memory: the edge array is written once and its gradient read once",
    "neighbor_sum": "random reads of rows: no edge array is made in either direction",
    "linear": "flops: a block of 4096 rows times a 128 x 128 weight, as the fused layers use it",
    "message_step": "memory and matrix products: a message-passing layer with two linear maps, forward and backward",
}


def optional(name: str):
    try:
        return __import__(name, fromlist=["_"])
    except ImportError:
        return None


def cases(n: int, e: int, f: int, device: str) -> dict[str, dict[str, Callable[[], object]]]:
    """{case: {implementation: a call of forward and backward}} on a random graph sorted by receiver."""
    import torch

    import meshlearn.ops as ops
    from meshlearn.ops.linear import linear

    scatter_library, pyg = optional("torch_scatter"), optional("torch_geometric.utils")
    generator = torch.Generator().manual_seed(0)
    senders, receivers = (torch.randint(0, n, (e,), generator=generator) for _ in range(2))
    graph = ops.Adjacency.from_edges(senders, receivers, n).to(device)
    index, rows, ptr = graph.index, graph.receivers, graph.ptr
    graph.transpose()
    wide = rows.unsqueeze(1).expand(-1, f)
    messages, points = (torch.randn(k, f, device=device, requires_grad=True) for k in (e, n))
    by_edge, by_row = torch.randn(e, f, device=device), torch.randn(n, f, device=device)
    target = torch.empty_like(by_edge)
    first, second = (torch.nn.Linear(f, f).to(device) for _ in range(2))

    def both(function, x, gradient):
        def run():
            x.grad = None
            function(x).backward(gradient)

        return run

    def step(x):
        sent = ops.gather_senders(first(x), graph) + ops.gather_receivers(second(x), graph)
        return x + ops.segment_sum(second(torch.relu(sent)), graph)

    found: dict[str, dict[str, Callable[[], object]]] = {
        "copy": {"fresh": messages.detach().clone, "in place": lambda: target.copy_(by_edge)}
    }
    for name, torch_name in (("sum", "sum"), ("mean", "mean"), ("max", "amax")):
        ours = getattr(ops, f"segment_{name}")
        runs = {"meshlearn": both(lambda x, g=ours: g(x, graph), messages, by_row)}
        if device == "cuda" and name != "max" and optional("triton"):
            runs["meshlearn, triton"] = both(lambda x, g=ours: g(x, graph, backend="triton"), messages, by_row)
        if scatter_library:
            runs["torch_scatter.segment_csr"] = both(
                lambda x, r=name: scatter_library.segment_csr(x, ptr, reduce=r), messages, by_row
            )
            runs["torch_scatter.scatter"] = both(
                lambda x, r=name: scatter_library.scatter(x, rows, 0, dim_size=n, reduce=r), messages, by_row
            )
        if pyg:
            runs["pyg.scatter"] = both(lambda x, r=name: pyg.scatter(x, rows, 0, n, reduce=r), messages, by_row)
        runs["torch.scatter_reduce"] = both(
            lambda x, r=torch_name: x.new_zeros(n, f).scatter_reduce(0, wide, x, r, include_self=False),
            messages,
            by_row,
        )
        found[f"segment_{name}"] = runs
    found["segment_softmax"] = {
        "meshlearn": both(lambda x: ops.segment_softmax(x, graph), messages, by_edge),
        **({"pyg.softmax": both(lambda x: pyg.softmax(x, rows, num_nodes=n), messages, by_edge)} if pyg else {}),
    }
    found["gather_senders"] = {
        "meshlearn": both(lambda x: ops.gather_senders(x, graph), points, by_edge),
        "x[index]": both(lambda x: x[index], points, by_edge),
        "torch.index_select": both(lambda x: x.index_select(0, index), points, by_edge),
    }
    found["neighbor_sum"] = {
        "meshlearn": both(lambda x: ops.neighbor_sum(x, graph), points, by_row),
        "x[index], index_add": both(lambda x: x.new_zeros(n, f).index_add(0, rows, x[index]), points, by_row),
        "index_select, index_add": both(
            lambda x: x.new_zeros(n, f).index_add(0, rows, x.index_select(0, index)), points, by_row
        ),
    }
    block, weight, bias = (
        torch.randn(4096, 128, device=device),
        torch.randn(128, 128, device=device),
        by_row.new_zeros(128),
    )
    found["linear"] = {
        "meshlearn": lambda: linear(block, weight, bias),
        "torch.addmm": lambda: torch.addmm(bias, block, weight.t()),
    }
    found["message_step"] = {"meshlearn": both(step, points, by_row)}
    return found


def bytes_moved(case: str, n: int, e: int, f: int) -> int | None:
    """The least float32 traffic of forward and backward, each array read or written once."""
    rows, edges = 4 * n * f, 4 * e * f
    return {
        "copy": 2 * edges,
        "segment_sum": 2 * rows + 2 * edges,
        "segment_mean": 2 * rows + 2 * edges,
        "segment_max": 3 * rows + 3 * edges,
        "segment_softmax": 5 * edges,
        "gather_senders": 2 * rows + 2 * edges,
        "neighbor_sum": 4 * rows,
    }.get(case)


def timer(device: str) -> Callable[[Callable[[], object]], float]:
    """Milliseconds of one call; on CUDA between two events."""
    import torch

    def on_cpu(call):
        start = time.perf_counter()
        call()
        return 1e3 * (time.perf_counter() - start)

    def on_cuda(call):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)

    return on_cuda if device == "cuda" else on_cpu


def measure(size: tuple[int, int, int], device: str, rounds: int) -> dict[str, dict]:
    clock = timer(device)
    report = {}
    for case, runs in cases(*size, device).items():
        times: dict[str, list[float]] = {name: [] for name in runs}
        for round_number in range(rounds + 1):
            for name, call in runs.items():
                spent = clock(call)
                if round_number:  # the first round warms up
                    times[name].append(spent)
        report[case] = {name: {"best_ms": min(t), "median_ms": statistics.median(t)} for name, t in times.items()}
    return report


def summarise(size: tuple[int, int, int], report: dict[str, dict]) -> dict[str, dict]:
    """Ratios of best times (above 1: meshlearn is faster), and the share of the bandwidth of a copy in place."""
    copy = report["copy"]
    bandwidth = (bytes_moved("copy", *size) or 0) / copy["in place"]["best_ms"]
    summary = {}
    for case, runs in report.items():
        if case == "copy":
            continue
        ours, moved = runs["meshlearn"]["best_ms"], bytes_moved(case, *size)
        summary[case] = {
            "meshlearn_ms": round(ours, 3),
            "peer_over_meshlearn": {k: round(v["best_ms"] / ours, 2) for k, v in runs.items() if k != "meshlearn"},
            "meshlearn_over_fresh_copy": round(ours / copy["fresh"]["best_ms"], 2),
            "least_bytes": moved,
            "share_of_copy_bandwidth": round(moved / ours / bandwidth, 2) if moved else None,
            "bound_by": BOUND[case],
        }
    return summary


def device_name(device: str) -> str:
    import torch

    if device == "cuda":
        return re.sub(r"\W+", "_", torch.cuda.get_device_name().lower()).strip("_")
    return "cpu"


def processor() -> str:
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:\s*(.*)", info.read_text()) if info.exists() else []
    return names[0] if names else platform.processor()


def run_here(arguments: argparse.Namespace) -> dict:
    """One process: all sizes on one device, with or without the tuned allocator."""
    import torch

    import meshlearn.ops as ops

    torch.set_num_threads(arguments.threads)
    tuned = ops.tune_allocator() if arguments.tuned else False
    sizes = QUICK if arguments.quick else SIZES
    result: dict = {"tuned_allocator": tuned, "torch": torch.__version__, "threads": torch.get_num_threads()}
    for name, size in sizes.items():
        report = measure(size, arguments.device, arguments.rounds)
        shape = dict(zip(("points", "edges", "features"), size, strict=True))
        result[name] = {"size": shape, "times": report, "summary": summarise(size, report)}
    return result


def run_apart(arguments: argparse.Namespace, tuned: bool) -> dict:
    """`run_here` in a fresh process, since the allocator cannot be set back."""
    command = [sys.executable, __file__, "--here", "--device", arguments.device, "--rounds", str(arguments.rounds)]
    command += ["--threads", str(arguments.threads)] + ["--quick"] * arguments.quick + ["--tuned"] * tuned
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def show(title: str, result: dict) -> None:
    for size in SIZES:
        shape = result[size]["size"]
        copy = result[size]["times"]["copy"]
        print(f"\n{title}: {shape['edges']} edges, {shape['points']} points, {shape['features']} features, float32")
        print(f"  copy of the edge array: fresh {copy['fresh']['best_ms']:.2f} ms, in place ", end="")
        print(f"{copy['in place']['best_ms']:.2f} ms")
        print(f"  {'forward + backward':20s} {'ms':>9s} {'/ copy':>7s} {'bandwidth':>9s}   times faster than")
        for case, line in result[size]["summary"].items():
            share = line["share_of_copy_bandwidth"]
            peers = ", ".join(f"{name} {ratio:.2f}" for name, ratio in line["peer_over_meshlearn"].items())
            print(
                f"  {case:20s} {line['meshlearn_ms']:9.2f} {line['meshlearn_over_fresh_copy']:7.2f} "
                f"{'' if share is None else format(share, '.0%'):>9s}   {peers}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small arrays, few rounds; writes no file unless asked")
    parser.add_argument("--device", choices=("cpu", "cuda", "all"), default="all")
    parser.add_argument("--rounds", type=int, default=None, help="timed rounds per case (default 9, quick 2)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, default=None, help="folder of the JSON files")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--tuned", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (2 if arguments.quick else 9)
    if arguments.here:
        json.dump(run_here(arguments), sys.stdout)
        return
    import torch

    devices = [arguments.device] if arguments.device != "all" else ["cpu"] + ["cuda"] * torch.cuda.is_available()
    for arguments.device in devices:
        found = {"device": device_name(arguments.device), "processor": processor(), "quick": arguments.quick}
        found["default_allocator"] = run_apart(arguments, tuned=False)
        show(f"{found['device']}, default allocator", found["default_allocator"])
        if arguments.device == "cpu":
            found["tuned_allocator"] = run_apart(arguments, tuned=True)
            show("cpu, after tune_allocator()", found["tuned_allocator"])
            plain, tuned = (
                found[k]["large"]["times"]["message_step"]["meshlearn"]
                for k in ("default_allocator", "tuned_allocator")
            )
            found["tuning_speeds_up_a_message_step"] = round(plain["median_ms"] / tuned["median_ms"], 2)
            print(f"\ntune_allocator() makes a message step {found['tuning_speeds_up_a_message_step']} times as fast")
        folder = arguments.output or (None if arguments.quick else RESULTS)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"ops_{found['device']}.json"
            path.write_text(json.dumps(found, indent=1) + "\n")
            print(f"\nwrote {path}")


if __name__ == "__main__":
    main()
