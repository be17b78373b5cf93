"""Solids of tetrahedra: conforming, of good shape, with the boundary on the surface."""

import numpy as np
import pytest
from section_bodies import peanut, ring, surface_of

import meshlearn as ml
from meshlearn.io.sections import parallel_planes
from meshlearn.models.cross_sections.tetrahedra import lattice, stuffed


def test_the_lattice_fills_space_between_its_outer_centres():
    nodes, tets = lattice((3, 4, 5))
    mesh = ml.Mesh(nodes.astype(float), {"tetra": tets})
    # between two centres lies an octahedron of volume 1/3 per inner face
    inner_faces = 2 * 4 * 5 + 3 * 3 * 5 + 3 * 4 * 4
    assert float(mesh.measure()) == pytest.approx(inner_faces / 3)
    assert mesh.topology.is_manifold


@pytest.mark.parametrize(("body", "euler"), [(peanut, 2), (ring, 0)])
def test_solids_conform_have_good_angles_and_the_right_volume(body, euler):
    points, tets = stuffed(body, np.full(3, -1.1), 0.1, (22, 22, 22))
    solid = ml.Mesh(points, {"tetra": tets})
    boundary = solid.boundary_mesh()
    assert solid.topology.is_manifold
    assert boundary.is_watertight
    assert boundary.topology.euler_characteristic == euler
    assert solid.n_inverted() == 0
    assert float(solid.quality("min_angle")["tetra"].min()) > np.deg2rad(10)
    assert np.abs(body(boundary.without_unused_points().points.numpy())).max() < 0.02
    assert float(solid.volume()) == pytest.approx(float(surface_of(body).volume()), rel=0.03)


def test_a_reconstructed_body_becomes_a_solid_in_its_own_unit():
    mesh = surface_of(peanut, 40)
    sections = ml.CrossSections.from_mesh(mesh, parallel_planes(mesh, 9)).moved(scale=25.0, shift=(100.0, 0.0, 0.0))
    model = ml.CrossSectionReconstructor(base="cubic", network=False).fit(sections)
    solid = model.to_solid(resolution=16)
    assert float(solid.volume()) == pytest.approx(float(mesh.volume()) * 25**3, rel=0.05)
    assert solid.boundary_mesh().is_watertight
    with pytest.raises(ml.ParameterError, match="resolution"):
        model.to_solid(resolution=1)
