"""Triangles are cut without moving anything: the same surface, the same field, the same rims."""

import numpy as np
import pytest

import meshlearn as ml
from meshlearn.viz.finer import MOST, finer, halved, without_creases
from meshlearn.viz.shade import shade
from meshlearn.viz.skin import skin


def areas(seen):
    a, b, c = (seen.points[seen.triangles[:, i]] for i in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


@pytest.mark.parametrize("cells", ["tetra", "hexahedron", "wedge", "pyramid"])
def test_surface_field_and_edges_stay(cells):
    mesh = ml.shapes.box(n=(2, 2, 1), cells=cells).double()
    mesh = mesh.with_point_data(f=2 * mesh.points[:, 0] - mesh.points[:, 2])
    whole, values = skin(mesh), shade(mesh, "f")
    cut, cut_values = halved(whole, values)
    np.testing.assert_allclose(areas(cut), np.tile(areas(whole), 4) / 4)
    np.testing.assert_allclose(cut_values.values, 2 * cut.points[:, 0] - cut.points[:, 2], atol=1e-12)
    np.testing.assert_array_equal(cut.owner, np.tile(whole.owner, 4))
    lengths = [np.linalg.norm(np.diff(s.points[s.segments], axis=1), axis=2) for s in (cut, whole)]
    np.testing.assert_allclose(lengths[0], np.tile(lengths[1], (2, 1)) / 2)


def test_the_two_triangles_of_a_quad_meet_without_a_step():
    mesh = ml.shapes.box(n=(1, 1, 1), cells="hexahedron")
    mesh = mesh.with_point_data(f=mesh.points.prod(1))

    def step(seen, values):  # the largest difference of two painted neighbours
        tones = values.values[seen.triangles].mean(1)
        sides = np.concatenate([np.sort(seen.triangles[:, [i, (i + 1) % 3]], axis=1) for i in range(3)])
        order = np.lexsort(sides.T)
        owner = np.tile(tones, 3)[order]
        same = (np.diff(sides[order], axis=0) == 0).all(1)
        return np.abs(np.diff(owner))[same].max()

    whole, values = skin(mesh), shade(mesh, "f")
    assert step(*finer(whole, values)) < 0.2 * step(whole, values)


def test_large_skins_are_left_as_they_are():
    mesh = ml.shapes.sphere(refine=5)
    mesh = mesh.with_point_data(f=mesh.points[:, 0])
    seen = skin(mesh)
    assert 4 * len(seen.triangles) > MOST
    assert finer(seen, shade(mesh, "f"))[0] is seen


def test_quads_are_bilinear_whatever_their_diagonal():
    mesh = ml.shapes.square(n=1, cells="quad").double()
    mesh = mesh.replace(point_data={"f": (mesh.points[:, 0] - mesh.points[:, 1]).abs()})  # 0, 1, 0, 1 round the quad
    cut, values = without_creases(skin(mesh), shade(mesh, "f"))
    x, y = cut.points.T
    np.testing.assert_allclose(values.values, x + y - 2 * x * y, atol=1e-12)  # the bilinear function
    assert len(cut.triangles) == 2 * 4**4
    np.testing.assert_allclose(areas(_flat(cut)).sum(), 1.0)


def test_warped_quads_stay_on_their_bilinear_surface():
    mesh = ml.Mesh(np.array([[0, 0, 0], [1, 0, 1], [1, 1, 0], [0, 1, 1.0]]), {"quad": [[0, 1, 2, 3]]})
    mesh = mesh.with_point_data(f=mesh.points[:, 2])
    cut, values = without_creases(skin(mesh), shade(mesh, "f"))
    x, y, z = cut.points.T
    np.testing.assert_allclose(z, x + y - 2 * x * y, atol=1e-12)
    np.testing.assert_allclose(values.values, z, atol=1e-12)


def test_linear_fields_and_cell_fields_are_not_cut():
    mesh = ml.shapes.square(n=3, cells="quad")
    mesh = mesh.with_point_data(f=mesh.points.sum(1)).with_cell_data(g=mesh.points[:9, 0])
    for name in "fg":
        seen = skin(mesh)
        assert without_creases(seen, shade(mesh, name))[0] is seen


def _flat(seen):
    from dataclasses import replace

    return replace(seen, points=np.pad(seen.points, ((0, 0), (0, 1))))
