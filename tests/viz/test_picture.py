"""Pictures: what is drawn is what was asked for, files are whole, and wrong requests get named errors."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

import meshlearn as ml
from meshlearn.viz.skin import skin
from meshlearn.viz.solid import can_render


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    plt.close("all")


MESHES = {
    "triangle": lambda: ml.shapes.square(n=3),
    "quad": lambda: ml.shapes.square(n=3, cells="quad"),
    "mixed": lambda: ml.shapes.square(n=4, cells="mixed"),
    "second order": lambda: ml.shapes.square(n=4, cells="mixed", order=2),
    "cloud": lambda: ml.Mesh(torch.rand(20, 2)),
    "lines": lambda: ml.Mesh([[0.0, 0], [1, 0], [1, 1]], {"line": [[0, 1], [1, 2]]}),
    "polygons": lambda: ml.Mesh(
        [[0.0, 0], [1, 0], [1.5, 1], [0.5, 1.5], [-0.5, 1], [2, 0]], {"polygon": [[0, 1, 2, 3, 4], [1, 5, 2, -1, -1]]}
    ),
    "1-D": lambda: ml.shapes.interval(n=4),
    "surface": lambda: ml.shapes.sphere(refine=1),
    "solid": lambda: ml.shapes.box(n=(2, 2, 2)),
    "cloud in space": lambda: ml.Mesh(torch.rand(20, 3)),
    "truss": lambda: ml.Mesh([[0.0, 0, 0], [1, 0, 1], [1, 1, 0]], {"line": [[0, 1], [1, 2]]}),
}


def is_picture(path):
    """The file holds a picture that is not blank."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    return pixels.shape[0] > 100 and pixels.std() > 1.0


@pytest.mark.parametrize("name", MESHES)
@pytest.mark.parametrize("place", ["bare", "point", "vector", "cell"])
def test_every_kind_of_mesh_can_be_drawn(tmp_path, name, place):
    mesh, field = MESHES[name](), "f"
    if place == "cell" and not mesh.n_cells:
        pytest.skip("a point cloud has no cells")
    if place == "bare":
        field = None
    elif place == "cell":
        mesh = mesh.with_cell_data(f=torch.arange(float(mesh.n_cells)))
    else:
        shape = (mesh.n_points, 2) if place == "vector" else (mesh.n_points,)
        mesh = mesh.with_point_data(f=torch.arange(float(np.prod(shape))).reshape(shape))
    ml.viz.plot(mesh, field, file=tmp_path / "out.png", backend="matplotlib")
    assert is_picture(tmp_path / "out.png")
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]


@pytest.mark.parametrize("name", ["surface", "solid", "cloud in space", "truss"])
def test_pyvista_draws_off_screen(tmp_path, name):
    if not can_render():
        pytest.skip("pyvista is missing or cannot render off screen here")
    mesh = MESHES[name]()
    mesh = mesh.with_point_data(f=mesh.points[:, 2])
    ml.viz.plot(mesh, "f", file=tmp_path / "out.png", backend="pyvista")
    assert is_picture(tmp_path / "out.png")


def test_without_a_renderer_pyvista_is_refused_and_auto_uses_matplotlib(tmp_path, monkeypatch):
    import meshlearn.viz.picture as module
    import meshlearn.viz.solid as solid

    monkeypatch.setattr(solid, "can_render", lambda: False)
    monkeypatch.setattr(module, "can_render", lambda: False)
    with pytest.raises(ml.MissingDependencyError, match="matplotlib"):
        ml.viz.plot(ml.shapes.sphere(refine=1), backend="pyvista")
    ml.viz.plot(ml.shapes.sphere(refine=1), file=tmp_path / "out.png", backend="auto")
    assert is_picture(tmp_path / "out.png")


@pytest.mark.parametrize("cells", ["triangle", "quad", "mixed"])
@pytest.mark.parametrize("order", [1, 2])
def test_the_triangles_cover_the_mesh(cells, order):
    mesh = ml.shapes.square(n=4, cells=cells, order=order).double()
    seen = skin(mesh)
    a, b, c = (seen.points[seen.triangles[:, i]] for i in range(3))
    area = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    assert (area > 0).all()
    torch.testing.assert_close(
        torch.from_numpy(np.bincount(seen.owner, area)), mesh.join_cells(mesh.cell_measures()), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("cells", ["tetra", "hexahedron"])
def test_the_skin_of_a_solid_is_its_boundary(cells):
    seen = skin(ml.shapes.box(n=(2, 3, 2), cells=cells).double())
    a, b, c = (seen.points[seen.triangles[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a) / 2
    assert np.linalg.norm(normal, axis=1).sum() == pytest.approx(6.0)
    assert (a * normal).sum() / 3 == pytest.approx(1.0), "outward normals give the volume"


def test_colour_limits_and_labels():
    mesh = ml.shapes.square(n=2).with_point_data(v=torch.ones(9, 2) * torch.tensor([3.0, 4.0]))
    ax = ml.viz.plot(mesh, "v", clim=(0.0, 8.0))
    bar = ax.child_axes[0]
    assert bar.get_ylim() == (0.0, 8.0)
    assert bar.get_ylabel() == "|v|"
    assert ml.viz.plot(mesh, "v", component=1).child_axes[0].get_ylabel() == "v y"
    collection = ml.viz.plot(mesh, "v").collections[0]
    assert np.allclose(collection.get_array(), 5.0)


def test_values_may_be_given_instead_of_a_name():
    mesh = ml.shapes.square(n=2)
    assert np.allclose(ml.viz.plot(mesh, torch.full((9,), 2.0)).collections[0].get_array(), 2.0)
    assert np.allclose(ml.viz.plot(mesh, np.full(8, 3.0)).collections[0].get_array(), 3.0)


def test_missing_values_are_grey(tmp_path):
    values = torch.ones(9)
    values[4] = torch.nan
    ax = ml.viz.plot(ml.shapes.square(n=2).with_point_data(u=values), "u", file=tmp_path / "out.png")
    assert len(ax.collections[0].get_paths()) == 6, "the triangles around the middle"
    ml.viz.plot(ml.shapes.square(n=2).with_point_data(u=torch.full((9,), torch.nan)), "u", file=tmp_path / "all.png")


def test_tags_have_a_legend():
    ax = ml.viz.plot(ml.shapes.square(n=2).replace(point_sets={"pin": [0]}), tags=True)
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {"pin", "left", "right", "bottom", "top"}


def test_own_axes_stay_open_and_settings_come_back(tmp_path):
    before = dict(plt.rcParams)
    _, ax = plt.subplots()
    assert ml.viz.plot(ml.shapes.square(n=2), ax=ax, file=tmp_path / "out.png") is ax
    assert plt.get_fignums() == [ax.figure.number]
    ml.viz.plot(ml.shapes.square(n=2), file=tmp_path / "out.png")
    assert plt.get_fignums() == [ax.figure.number]
    assert dict(plt.rcParams) == before


def test_mesh_plot_is_the_same_function(tmp_path):
    mesh = ml.shapes.square(n=2).with_point_data(u=torch.arange(9.0))
    mesh.plot("u", file=tmp_path / "out.png")
    assert is_picture(tmp_path / "out.png")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"field": "w"}, ml.FieldError, r"no field 'w' \(mesh made in memory\)"),
        ({"field": "g"}, ml.FieldError, "whole mesh"),
        ({"field": "v", "component": 2}, ml.ParameterError, "2 components"),
        ({"field": torch.zeros(5)}, ml.FieldError, "neither"),
        ({"backend": "vtk"}, ml.ParameterError, "backend"),
        ({"cmap": "rainbows"}, ml.ParameterError, "colour map"),
        ({"field": "v", "clim": (1.0, 0.0)}, ml.ParameterError, "clim"),
        ({"tags": ["lid"]}, ml.FieldError, "no set 'lid'"),
        ({"up": "w"}, ml.ParameterError, "up is"),
        ({"file": "picture.xyz"}, ml.MeshWriteError, "pictures are written as"),
        ({"file": "/nowhere/picture.png"}, ml.MeshWriteError, "does not exist"),
    ],
)
def test_errors_say_what_is_wrong(arguments, error, words):
    mesh = ml.shapes.square(n=2).with_point_data(v=torch.zeros(9, 2)).with_global_data(g=1.0)
    with pytest.raises(error, match=words):
        ml.viz.plot(mesh, **arguments)


def test_polyhedra_are_refused_by_name():
    stream = [[4, 3, 0, 1, 2, 3, 0, 1, 3, 3, 1, 2, 3, 3, 0, 2, 3]]
    mesh = ml.Mesh(torch.eye(4)[:, :3], {"polyhedron": stream})
    with pytest.raises(ml.TopologyError, match="polyhedron"):
        ml.viz.plot(mesh)
