"""A format that gives a field another type says so."""

import pytest
import torch

import meshlearn as ml


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [(".med", torch.float32), (".exo", torch.int32), (".avs", torch.float32), (".xdmf", torch.bool)],
)
def test_a_changed_type_is_named(tmp_path, suffix, dtype):
    mesh = ml.shapes.square(n=2).replace(cell_sets={}).with_point_data(u=torch.ones(9).to(dtype))
    with pytest.warns(ml.MeshWriteWarning, match=f"type {str(dtype).removeprefix('torch.')} of point data 'u'"):
        path = ml.write(mesh, tmp_path / f"typed{suffix}")
    assert ml.read(path).point_data["u"].dtype != dtype
