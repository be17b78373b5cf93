"""What a Mesh accepts, refuses, and leaves unchanged."""

import copy
import pickle

import numpy as np
import pytest
import torch

import meshlearn as ml

TRIANGLE = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]


def test_sizes_count_the_domain(mixed):
    assert (mixed.n_points, mixed.dim, mixed.cell_dim, mixed.n_cells) == (6, 2, 2, 3)
    assert mixed.cell_counts == {"quad": 1, "triangle": 2, "line": 1}
    assert mixed.domain_types == ["quad", "triangle"]


def test_a_point_cloud_is_a_mesh():
    cloud = ml.Mesh(torch.rand(5, 3), point_data={"u": torch.rand(5)})
    assert (cloud.n_cells, cloud.cell_dim, cloud.cell_counts) == (0, 0, {})
    assert cloud.point_measures().tolist() == [1.0] * 5
    with pytest.raises(ml.TopologyError, match="knn"):
        _ = cloud.point_adjacency


def test_read_only_and_foreign_endian_numpy_are_accepted():
    points = np.array(TRIANGLE, dtype=">f8")
    points.setflags(write=False)
    cells = np.array([[0, 1, 2]], dtype=np.uint32)
    mesh = ml.Mesh(points, {"triangle": cells})
    assert mesh.dtype == torch.float64
    assert mesh.cells["triangle"].dtype == torch.int64


def test_integer_points_become_floating_point():
    assert ml.Mesh([[0, 0], [1, 0]]).dtype == torch.get_default_dtype()


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"points": [1.0, 2.0]}, ml.MeshError, r"\(2,\)"),
        ({"points": torch.rand(2, 4)}, ml.MeshError, r"\(2, 4\)"),
        ({"points": torch.rand(2, 2).half()}, ml.MeshError, "float16"),
        ({"points": TRIANGLE, "cells": {"triangle": [[0, 1, 3]]}}, ml.MeshError, "names point 3"),
        ({"points": TRIANGLE, "cells": {"triangle": [[0, 1, -1]]}}, ml.MeshError, "names point -1"),
        ({"points": TRIANGLE, "cells": {"triangle": [[0, 1]]}}, ml.MeshError, r"\(n, 3\)"),
        ({"points": TRIANGLE, "cells": {"triangle": [[0.0, 1.0, 2.0]]}}, ml.MeshError, "integers"),
        ({"points": TRIANGLE, "cells": [[0, 1, 2]]}, ml.MeshError, "dictionary"),
        ({"points": TRIANGLE, "point_data": {"u": [1.0]}}, ml.FieldError, "1 rows"),
        ({"points": TRIANGLE, "point_data": {"u": 1.0}}, ml.FieldError, "no rows"),
        ({"points": TRIANGLE, "cell_data": {"u": [1.0]}}, ml.FieldError, "dictionary"),
        ({"points": TRIANGLE, "cell_data": {"u": {"quad": [1.0]}}}, ml.FieldError, "quad"),
        ({"points": TRIANGLE, "point_sets": {"a": [3]}}, ml.MeshError, "names 3"),
        ({"points": TRIANGLE, "point_sets": {"a": torch.ones(3, dtype=torch.bool)}}, ml.MeshError, "nonzero"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        ml.Mesh(**arguments)


def test_a_cell_field_passed_as_a_point_field_is_recognised():
    with pytest.raises(ml.FieldError, match="with_cell_data"):
        ml.Mesh(TRIANGLE, {"triangle": [[0, 1, 2]]}, point_data={"k": [1.0]})


def test_a_mesh_cannot_change(mixed):
    with pytest.raises(ml.MeshError, match="immutable"):
        mixed.points = torch.zeros(6, 2)
    with pytest.raises(ml.MeshError, match="with_point_data"):
        mixed.point_data["w"] = torch.zeros(6)
    with pytest.raises(ml.MeshError, match="immutable"):
        mixed.cells.update(line=torch.zeros(1, 2))


def test_changed_copies_leave_the_original_alone(mixed):
    changed = mixed.with_point_data(w=torch.zeros(6)).with_global_data(speed=2.0)
    assert "w" in changed.point_data
    assert "w" not in mixed.point_data
    assert changed.global_data["speed"].item() == 2.0
    assert not mixed.without_data().point_data
    assert mixed.without_data().cell_sets.keys() == mixed.cell_sets.keys()


def test_topology_is_shared_while_only_the_points_move(mixed):
    topology = mixed.topology
    assert mixed.replace(points=2 * mixed.points).topology is topology
    assert (
        mixed.replace(cells={"triangle": mixed.cells["triangle"]}, cell_data={}, cell_sets={}).topology is not topology
    )


def test_geometry_follows_the_points(mixed):
    before = mixed.measure()
    torch.testing.assert_close(mixed.replace(points=2 * mixed.points).measure(), 4 * before)


def test_replace_checks_what_it_is_given(mixed):
    with pytest.raises(ml.FieldError):
        mixed.replace(points=torch.rand(5, 2), cells={})
    with pytest.raises(ml.MeshError, match="no attribute"):
        mixed.replace(nodes=1)


def test_cell_values_split_and_join(mixed):
    values = torch.rand(3, 2)
    torch.testing.assert_close(mixed.join_cells(mixed.split_cells(values)), values)
    with pytest.raises(ml.FieldError, match="3 cells"):
        mixed.split_cells(torch.rand(4))
    with pytest.raises(ml.MeshError, match="'k' holds text"):
        mixed.with_cell_data(k="steel")


def test_dtype_conversion_leaves_integers_alone(mixed):
    double = mixed.double()
    assert double.dtype == torch.float64
    assert double.point_data["u"].dtype == torch.int64
    assert double.float().dtype == torch.float32
    with pytest.raises(ml.MeshError):
        mixed.to(torch.int64)


def test_copies_and_pickles_are_equal(mixed):
    assert ml.meshes_equal(mixed, copy.deepcopy(mixed))
    assert ml.meshes_equal(mixed, pickle.loads(pickle.dumps(mixed)))
    assert not ml.meshes_equal(mixed, mixed.with_point_data(u=torch.zeros(6, dtype=torch.int64)))


def test_the_summary_names_everything(mixed):
    text = repr(mixed.replace(report=["voxels became hexahedra"]))
    for word in ("6 points", "1 quad", "u ()", "v (2)", "k ()", "load = 1.5", "corner [1]", "1 line", "voxels became"):
        assert word in text


def test_length_is_ambiguous(mixed):
    with pytest.raises(TypeError, match="n_points"):
        len(mixed)
    assert mixed


@pytest.mark.gpu
def test_a_mesh_on_cuda_has_the_same_topology(mixed):
    cuda = mixed.to("cuda")
    for name in ("edges", "boundary_points", "is_boundary"):
        assert torch.equal(getattr(cuda.topology, name).cpu(), getattr(mixed.topology, name))
    torch.testing.assert_close(cuda.measure().cpu(), mixed.measure())


def test_masked_values_are_refused():
    values = np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False])
    with pytest.raises(ml.MeshError, match=r"'T'.*1 masked values(.|\n)*filled"):
        ml.Mesh(np.eye(3), point_data={"T": values})
    assert ml.Mesh(np.eye(3), point_data={"T": np.ma.masked_array([1, 2, 3])}).point_data["T"].tolist() == [1, 2, 3]


def test_whole_numbers_beyond_int64_are_refused():
    with pytest.raises(ml.MeshError, match=r"18446744073709551615, more than int64"):
        ml.Mesh(np.eye(1), point_data={"n": np.array([2**64 - 1], np.uint64)})
    assert ml.Mesh(np.eye(1), point_data={"n": np.array([7], np.uint64)}).point_data["n"].tolist() == [7]


@pytest.mark.parametrize("part", ["point_data", "cell_data", "global_data", "point_sets", "cell_sets"])
def test_names_are_texts(part):
    with pytest.raises(ml.FieldError, match=r"the name 3 is no text but int"):
        ml.Mesh(np.eye(3), {"triangle": [[0, 1, 2]]}, **{part: {3: {"triangle": [0]} if "cell" in part else [0, 1, 2]}})


@pytest.mark.parametrize("part", ["point_data", "cell_data", "global_data"])
def test_names_of_series_are_texts(part):
    with pytest.raises(ml.FieldError, match=r"the name 3 is no text but int"):
        ml.Trajectory(ml.shapes.square(n=1), [0.0], **{part: {3: torch.zeros(1, 4)}})
