"""A small network for tests: a pointwise MLP with one step of neighbour averaging, and outputs at all locations."""

from __future__ import annotations

import torch
from torch import nn

import meshlearn as ml
from meshlearn import ops


class TinyNet(nn.Module):
    def __init__(self, inputs: int, outputs: dict[str, int], width: int, dropout: float):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(inputs, width), nn.Tanh(), nn.Dropout(dropout))
        self.mix = nn.Linear(2 * width, width)
        self.heads = nn.ModuleDict({place: nn.Linear(width, size) for place, size in outputs.items()})

    def forward(self, batch):
        globals_ = ops.gather(batch.global_inputs, batch.mesh_index("point"))
        h = self.encode(torch.cat([batch.points, batch.point_inputs, globals_], dim=1))
        neighbours = ops.segment_mean(ops.gather_senders(h, batch.adjacency), batch.adjacency.ptr)
        h = torch.tanh(self.mix(torch.cat([h, neighbours], dim=1)))
        pooled = {
            "point": lambda: h,
            "cell": lambda: ops.segment_mean(ops.gather_senders(h, batch.cell_points), batch.cell_points.ptr),
            "global": lambda: ops.segment_mean(h, batch.ptr("point")),
        }
        return {place: head(pooled[place]()) for place, head in self.heads.items()}


@ml.register_estimator
class Tiny(ml.NetworkEstimator):
    def __init__(self, inputs=("f", "a"), outputs=("u",), width=16, dropout=0.0, loss="mse"):
        self.inputs = inputs
        self.outputs = outputs
        self.width = width
        self.dropout = dropout
        self.loss = loss

    def build(self, fields):
        widths = self.normalizers_.sizes["features"]
        inputs = fields.dim + widths["point_inputs"] + widths["global_inputs"]
        outputs = {place: fields.width("outputs", place) for place in fields.output_locations}
        return TinyNet(inputs, outputs, self.width, self.dropout)


def wave(n=(4, 5), a=1.0, cells="triangle", dtype=torch.float32):
    """A rectangle with an input field f, an output field u, a load a, a cell field q and a total."""
    mesh = ml.shapes.rectangle(1.0, 1.0, n=n, cells=cells).to(dtype)
    x, y = mesh.points.T
    u = a * torch.sin(3 * x) + y
    centre = torch.cat([mesh.cell_centroids()[kind] for kind in mesh.domain_types])
    return (
        mesh.with_point_data(f=a * x, u=u, v=torch.stack([u, -u], dim=1))
        .with_cell_data(q=centre[:, 0] * a)
        .with_global_data(a=torch.tensor(a, dtype=dtype), total=torch.tensor(2.0 * a, dtype=dtype))
    )


def waves(n=8, **kwargs):
    """Meshes of different sizes and loads."""
    return [wave(n=(3 + k % 4, 4 + k % 3), a=0.5 + k / n, **kwargs) for k in range(n)]


def heat(n_times=5):
    """A trajectory of a decaying field u, with a forcing f."""
    mesh = ml.shapes.rectangle(1.0, 1.0, n=(4, 4))
    x = mesh.points[:, 0]
    decay = 0.8 ** torch.arange(n_times)
    return ml.Trajectory(
        mesh, torch.arange(n_times) * 0.1, {"u": decay[:, None] * torch.sin(3 * x), "f": decay[:, None] * x}
    )


def quick(model, meshes, **options):
    """A short silent fit."""
    return model.fit(meshes, **{"epochs": 3, "progress": False, **options})


def weights(model):
    """All learned tensors."""
    return model.get_state()[0]


def assert_same_weights(a, b):
    """Bit for bit."""
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name
