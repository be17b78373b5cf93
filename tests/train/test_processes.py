"""Two processes, and compiled networks: run as scripts of their own, as a user would."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from .tiny import Tiny, quick, waves, weights

TESTS = Path(__file__).resolve().parents[1]

TWO = """
import sys
import torch
torch.set_num_threads(1)
from safetensors.torch import save_file
from train.tiny import Tiny, quick, waves, weights

if __name__ == "__main__":
    options = dict(epochs=3, batch_points=1, precision="64", validation=waves(3))
    options |= dict(devices=2, strategy=sys.argv[1])
    model = quick(Tiny(outputs=["u", "total"]), waves(5), checkpoint=sys.argv[2] + "/run", **options)
    if sys.argv[1] == "ddp":
        again = quick(Tiny(outputs=["u", "total"]), waves(5), **options)
        for name, value in weights(model).items():
            assert torch.equal(value, weights(again)[name]), name
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    save_file(weights(model), sys.argv[2] + f"/weights{rank}.safetensors")
    losses = torch.tensor([[r["train_loss"], r["val_loss"]] for r in model.history_], dtype=torch.float64)
    save_file({"losses": losses}, sys.argv[2] + f"/losses{rank}.safetensors")
"""

COMPILED = """
import functools
import torch
torch.set_num_threads(1)
torch.compile = functools.partial(torch.compile, backend="aot_eager")   # traces and autograd, without the C++ compiler
from train.tiny import Tiny, quick, waves, weights
from torch._dynamo.utils import counters

eager = quick(Tiny(), waves(6), batch_points=40)
compiled = quick(Tiny(), waves(6), batch_points=40, compile=True)
for name, value in weights(eager).items():
    torch.testing.assert_close(value, weights(compiled)[name], rtol=1e-4, atol=1e-6)
assert not counters["graph_break"], counters["graph_break"]
assert counters["stats"]["unique_graphs"] <= 3, counters["stats"]
"""


def script(tmp_path, text, *arguments):
    path = tmp_path / "script.py"
    path.write_text(text)
    env = {name: value for name, value in os.environ.items() if name not in ("LOCAL_RANK", "WORLD_SIZE", "NODE_RANK")}
    env["PYTHONPATH"] = os.pathsep.join([str(TESTS), env.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, str(path), *map(str, arguments)],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr[-3000:]


def check_two_processes(tmp_path, strategy, ranks):
    script(tmp_path, TWO, strategy, tmp_path)
    single = quick(
        Tiny(outputs=["u", "total"]), waves(5), batch_points=1, accumulate=2, precision="64", validation=waves(3)
    )
    expected = torch.tensor([[r["train_loss"], r["val_loss"]] for r in single.history_], dtype=torch.float64)
    for rank in ranks:
        losses = load_file(tmp_path / f"losses{rank}.safetensors")["losses"]
        torch.testing.assert_close(losses, expected, rtol=1e-10, atol=0)
        for name, value in load_file(tmp_path / f"weights{rank}.safetensors").items():
            torch.testing.assert_close(value, weights(single)[name], rtol=1e-8, atol=1e-10)


@pytest.mark.slow
def test_two_processes_equal_one_process_on_the_same_global_batch(tmp_path):
    """5 meshes, one per batch: the last step has a batch for one process only."""
    check_two_processes(tmp_path, "ddp", ranks=(0, 1))


@pytest.mark.slow
def test_spawned_processes_bring_the_weights_back(tmp_path):
    check_two_processes(tmp_path, "ddp_spawn", ranks=(0,))


@pytest.mark.slow
def test_compiled_network_equals_eager_and_is_one_graph_for_all_sizes(tmp_path):
    script(tmp_path, COMPILED)
