"""A store from elsewhere is not trusted: numbers out of range are named when it is opened."""

import json

import pytest
import torch

import meshlearn as ml


def damaged(path, where, values):
    """Overwrite one tensor of a store; `where` is its place in the structure."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(str(path), framework="pt") as file:
        metadata = file.metadata()
    key = json.loads(metadata["meshlearn.mesh"])
    for step in where:
        key = key[step]
    tensors = {name: tensor.clone() for name, tensor in load_file(str(path)).items()}
    tensors[key] = torch.tensor(values)
    save_file(tensors, str(path), metadata=metadata)


@pytest.mark.parametrize(
    ("where", "values", "words"),
    [
        (("cells", "triangle"), [[0, 1, 999], [0, 4, 3]], "triangle cells hold 999"),
        (("cells", "triangle"), [[0, 1, -5], [0, 4, 3]], "triangle cells hold -5"),
        (("cells", "triangle"), [[0, 1, 2, 3], [0, 4, 3, 2]], "have 4 nodes, expected 3"),
        (("point_sets", "corner"), [0, 6], "point set 'corner' hold 6"),
        (("point_sets", "corner"), [0.0, 1.0], "point set 'corner' are torch.float32"),
        (("cell_sets", "left", "line"), [-1], "cell set 'left' of line cells hold -1"),
    ],
)
def test_numbers_out_of_range_are_named(tmp_path, mixed, where, values, words):
    path = tmp_path / "a.mesh.safetensors"
    ml.write(mixed, path)
    assert ml.read(path).n_cells == 3
    damaged(path, where, values)
    with pytest.raises(ml.MeshReadError, match=words):
        ml.read(path)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_numbers(tmp_path, dtype):
    values = torch.randn(2, 4, 3).to(dtype) * (1 + 2j)
    square = ml.shapes.square(n=1)
    mesh = square.with_point_data(E=values[0]).with_global_data(z=values[0, 0, 0])
    assert ml.meshes_equal(ml.read(ml.write(mesh, tmp_path / "a.mesh.safetensors")), mesh)
    series = ml.Trajectory(square, [0.0, 1.0], {"E": values})
    back = ml.read(ml.write(series, tmp_path / "b.mesh.safetensors"))
    assert torch.equal(back.point_data["E"], values)
