"""Arrays, lists and meshes where tensors and graphs belong: an error of ours that says what to pass."""

import subprocess
import sys

import pytest
import torch

import meshlearn as ml

SCRIPT = """
import warnings
warnings.simplefilter("ignore")
import numpy as np, torch, meshlearn as ml
seg, ptr, x, mesh = ml.ops.segment_sum, torch.tensor([0, 2, 3]), torch.ones(3), ml.shapes.square(n=2)
bad = mesh.replace(points=mesh.points * torch.nan)
CASES = {
    "x must be a torch tensor, got ndarray": lambda: seg(np.ones(3), ptr),
    "ptr must be a torch tensor, got list": lambda: seg(x, [0, 2, 3]),
    "ptr must be int64 offsets, got torch.float32": lambda: ml.ops.segment_max(x, ptr.float()),
    "points must be a torch tensor, got ndarray": lambda: ml.ops.knn(np.ones((3, 2)), torch.ones(1, 2), 1),
    "queries must be a torch tensor": lambda: ml.ops.radius_neighbors(torch.ones(1, 2), np.ones((3, 2)), 1.0),
    "take its mesh.point_adjacency": lambda: ml.ops.laplacian(mesh),
    "an ops.Adjacency, got Mesh": lambda: ml.ops.graph_gradient(mesh, mesh.points),
    "an ops.Adjacency, got list": lambda: ml.ops.degree([1]),
    "points must be a torch tensor": lambda: ml.ops.farthest_point_sampling(np.ones((3, 2)), 2),
    "split needs a sequence of meshes, got one Mesh": lambda: ml.split(mesh),
    "test='a': expected a fraction": lambda: ml.split([1, 2, 3], test="a"),
    "step='last': expected the number": lambda: ml.read("a.vtu", step="last"),
    "step=1.5: expected the number": lambda: ml.read("a.vtu", step=1.5),
    "got one Mesh: MeshBatch.from_meshes([mesh])": lambda: ml.MeshBatch.from_meshes(mesh),
    "got int at number 1": lambda: ml.MeshBatch.from_meshes([mesh, 3]),
    "two meshes are compared, got int": lambda: ml.meshes_equal(mesh, 3),
    "use with_global_data": lambda: mesh.with_point_data(u=3.0),
    "9 of 9 points have a coordinate that is not finite": lambda: bad.plot(),
    "component is the number of a component, 0 to 1, not 'x'":
        lambda: mesh.with_point_data(u=mesh.points).plot("u", component="x"),
}
if not torch.cuda.is_available():
    CASES["torch finds no CUDA device"] = lambda: mesh.to("cuda")
for words, case in CASES.items():
    try:
        case()
    except ml.MeshlearnError as error:
        if words not in str(error):
            print(words, "<->", error)
    except Exception as error:
        print(words, "<->", type(error), error)
    else:
        print(words, "<-> passed")
"""


def test_slips_are_answered(tmp_path):
    """In a process of its own: the type checks of the tests would come first."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    assert not done.stdout


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_sampling_refuses_points_that_are_not_finite(value):
    points = torch.rand(4, 2)
    points[1, 0] = value
    with pytest.raises(ml.MeshError, match="1 of 4 points are NaN or infinite, the first is number 1"):
        ml.ops.farthest_point_sampling(points, 3)
