"""A training step of MeshGraphNet against the same network in torch_geometric.nn.MessagePassing, time and memory.

    python benchmarks/meshgraphnet.py                # CPU, and CUDA where there is a device; some minutes
    python benchmarks/meshgraphnet.py --quick        # small graphs: checks the script, not the speed
    python benchmarks/meshgraphnet.py --layers 2     # two hidden layers per MLP, as in the paper

Two cases: one mesh of 100k points (600k directed edges), and a batch of 32 meshes of 2k points; hidden 128, 6 steps;
forward, backward and one step of Adam. Every variant runs in a process of its own, so that its peak of resident memory
is its own, and the processes take turns, so that a busy spell of the machine hits all alike; the best step counts.
On CPU each is measured with the allocator as it is, and after `ops.tune_allocator()`. The usual form needs 15 GB.

Variants: "usual" (PyG), "meshlearn" (the network of the model), "stored" (the same, keeping
pre-activations for the backward), "plain" (the same without the block-wise kernels: what the split of the
first layer and the row sums alone give). Results go to benchmarks/results/meshgraphnet_<device>.json.
What limits it: on CPU the matrix products (their flops are in the results); on a GPU memory bandwidth.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

CASES = {"one mesh": (315, 1), "32 meshes": (44, 32)}
QUICK = {"one mesh": (60, 1), "32 meshes": (10, 32)}
VARIANTS = ("usual", "meshlearn", "stored", "plain")


def peak_rss() -> int:
    """Largest resident memory of this process so far, in bytes (Linux counts in kB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(variant: str, n: int, meshes: int, args: argparse.Namespace) -> dict:
    """Time and memory of training steps in this process."""
    import torch

    from meshlearn import ops

    tuned = bool(args.tuned and ops.tune_allocator())
    torch.manual_seed(0)
    device = torch.device(args.device)
    batch = make_batch(n, meshes).to(device)
    target = torch.randn(len(batch.points), 1, device=device)
    network, forward = make_network(variant, batch, args)
    network.to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    precision = torch.autocast(device.type, torch.bfloat16, enabled=args.bf16)
    before = peak_rss()
    times = []
    for _ in range(args.repeat + 1):
        if device.type == "cuda":
            torch.cuda.synchronize()
        start, start_cpu = time.perf_counter(), time.process_time()
        optimizer.zero_grad(set_to_none=True)
        with precision:
            loss = (forward(batch).float() - target).square().mean()
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start, time.process_time() - start_cpu))
    cuda = device.type == "cuda"
    memory = torch.cuda.max_memory_allocated() if cuda else peak_rss() - before
    return {
        "step_s": min(wall for wall, _ in times[1:]),
        "step_cpu_s": min(cpu for _, cpu in times[1:]),
        "memory_gb": memory / 1e9,
        "points": len(batch.points),
        "edges": batch.adjacency.n_edges,
        "parameters": sum(p.numel() for p in network.parameters()),
        "tuned": tuned,
        "loss": loss.item(),
    }


def make_batch(n: int, meshes: int):
    """`meshes` triangulated squares of (n + 1)^2 points as one batch, with two point inputs."""
    import meshlearn as ml
    from meshlearn.models.meshgraphnet.geometry import hierarchy, offsets
    from meshlearn.models.meshgraphnet.model import _one_mesh
    from meshlearn.models.meshgraphnet.sample import MultilevelSample
    from meshlearn.train.graph import measure_weights, row_counts
    from meshlearn.train.sample import collate

    mesh = ml.shapes.square(n=n)
    graph = hierarchy(mesh, levels=1, k=8).graph
    sample = MultilevelSample(
        counts=row_counts(mesh),
        points=mesh.points,
        point_inputs=mesh.points,
        global_inputs=mesh.points.new_zeros(1, 0),
        adjacency=graph,
        edge_features=offsets(mesh.points, mesh.points, graph) * n,
        meshes=_one_mesh(mesh.n_points, mesh.device),
        point_weights=measure_weights(mesh, "point"),
    )
    return collate([sample] * meshes)


def make_network(variant: str, batch, args: argparse.Namespace):
    """(module, function of the batch that returns the point outputs)."""
    from meshlearn.models.meshgraphnet.network import GraphNetwork

    shape = {"hidden": args.hidden, "steps": args.steps, "layers": args.layers, "activation": args.activation}
    network = GraphNetwork(
        {"point_inputs": 2, "edge_features": 3},
        {"point": 1},
        levels=1,
        coarse_steps=1,
        context=False,
        aggregation="sum",
        processor="interaction",
        processor_options={},
        fused=variant != "plain",
        recompute=False if variant == "stored" else None,
        **shape,
    )
    if variant != "usual":
        return network, lambda b: network(b)["point"]
    from reference_meshgraphnet import UsualMeshGraphNet

    usual = UsualMeshGraphNet(2, 3, 1, **shape)
    usual.copy_weights(network)
    edge_index = batch.adjacency.edge_index()
    return usual, lambda b: usual(b.point_inputs, edge_index, b.edge_features)


def flops(points: int, edges: int, hidden: int, steps: int, layers: int) -> float:
    """Operations of the matrix products of one forward, first layers split; without encoder and decoder."""
    return 2.0 * hidden**2 * steps * (edges * (1 + layers) + points * (2 + 2 + layers))


def run_turns(args: argparse.Namespace, cases: dict, variants, tuned: bool) -> dict:
    """{case: {variant: best of its turns}}, and the ratios to "usual"."""
    results: dict = {}
    for case, (n, meshes) in cases.items():
        found: dict = {}
        for _ in range(args.turns):
            for variant in variants:
                command = [sys.executable, __file__, "--child", variant, str(n), str(meshes), "--device", args.device]
                command += [
                    f"--{name}={getattr(args, name)}" for name in ("hidden", "steps", "layers", "activation", "repeat")
                ]
                command += (
                    ["--tuned"] * tuned
                    + ["--bf16"] * args.bf16
                    + (["--threads", str(args.threads)] if args.threads else [])
                )
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    why = done.stderr.strip().splitlines()[-1:] or ["killed: out of memory?"]
                    print(f"{variant}, {case}: exit {done.returncode}, {why[0]}", flush=True)
                    continue
                new = json.loads(done.stdout.splitlines()[-1])
                old = found.get(variant)
                found[variant] = new if old is None or new["step_s"] < old["step_s"] else old
        results[case] = found
        usual = found.get("usual")
        if usual is None:
            print(f"{case}: no ratios, the usual form did not finish", flush=True)
            continue
        for variant, row in found.items():
            row["times_faster"] = usual["step_s"] / row["step_s"]
            row["times_faster_cpu"] = usual["step_cpu_s"] / row["step_cpu_s"]
            row["memory_ratio"] = row["memory_gb"] / usual["memory_gb"]
            work = 3 * flops(row["points"], row["edges"], args.hidden, args.steps, args.layers)
            row["gflops_per_s"] = work / row["step_s"] / 1e9
            print(
                f"{args.device} {'tuned ' if tuned else ''}{case:>10} {variant:>10}: {row['step_s']:8.3f} s/step, "
                f"{row['times_faster']:5.2f} x ({row['times_faster_cpu']:.2f} x in CPU time), "
                f"{row['memory_gb']:6.2f} GB ({row['memory_ratio']:.2f})",
                flush=True,
            )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small graphs, nothing is written")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--layers", type=int, default=1, help="hidden layers of every MLP")
    parser.add_argument("--activation", default="silu")
    parser.add_argument("--repeat", type=int, default=2, help="timed steps per process, after one to warm up")
    parser.add_argument("--turns", type=int, default=2, help="processes per variant")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default=None, help="cpu or cuda; default: both where there is one")
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    parser.add_argument("--no-plain", action="store_true", help="only 'usual' and 'meshlearn'")
    parser.add_argument("--tuned", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--child", nargs=3, default=None, help=argparse.SUPPRESS)
    args = parser.parse_args()
    import torch

    if args.threads:
        torch.set_num_threads(args.threads)
    if args.child:
        variant, n, meshes = args.child
        print(json.dumps(measure(variant, int(n), int(meshes), args)))
        return
    from common import write_results

    devices = [args.device] if args.device else ["cpu"] + ["cuda"] * torch.cuda.is_available()
    variants = VARIANTS[:2] if args.no_plain else VARIANTS
    for device in devices:
        args.device = device
        cases = QUICK if args.quick else CASES
        settings = {name: getattr(args, name) for name in ("hidden", "steps", "layers", "activation", "bf16")}
        results: dict = {"settings": settings, "cases": run_turns(args, cases, variants, tuned=False)}
        if device == "cpu":
            results["cases, tuned allocator"] = run_turns(args, cases, variants, tuned=True)
        if not args.quick:
            name = "meshgraphnet_" + ("cpu" if device == "cpu" else "gpu")
            write_results(name + (f"_{args.layers}_layers" if args.layers != 1 else "") + "_bf16" * args.bf16, results)


if __name__ == "__main__":
    main()
