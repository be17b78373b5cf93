"""MeshGraphNet: the properties of every estimator, on all kinds of meshes and fields; symmetries; learning."""

from functools import partial

import pytest
import torch
from torch.testing import assert_close

import meshlearn as ml
from meshlearn.models.geometric_inputs import boundary_features, matching_points, outward_directions
from meshlearn.testing import check_estimator

Small = partial(ml.MeshGraphNet, hidden=8, steps=2)
QUIET = {"epochs": 1, "progress": False}


def with_fields(mesh, load=1.0):
    x = mesh.points[:, 0]
    mesh = mesh.with_point_data(f=x.square(), u=load * torch.sin(3 * x)).with_global_data(
        load=mesh.points.new_tensor(load), total=mesh.points.new_tensor([load, 2.0])
    )
    if mesh.domain_types:
        centres = mesh.join_cells(mesh.cell_centroids())
        mesh = mesh.with_cell_data(q=centres[:, 0], s=load * centres)
    return mesh


def small_meshes():
    return [with_fields(ml.shapes.square(n=n), load) for n, load in ((4, 1.0), (5, 2.0), (6, -1.0))]


@pytest.mark.parametrize(
    "make",
    [Small, partial(Small, levels=1, context=False), partial(Small, aggregation="mean", fused=False, loss="mse")],
    ids=["levels", "one level", "plain"],
)
def test_it_is_an_estimator(make):
    check_estimator(make)


KINDS = {
    "line": lambda n: ml.Mesh(
        torch.linspace(0, 1, 5 * n)[:, None],
        {"line": torch.stack([torch.arange(5 * n - 1), torch.arange(1, 5 * n)], 1)},
    ),
    "mixed": lambda n: ml.shapes.rectangle(n=(n, n), cells="mixed"),
    "second order": lambda n: ml.shapes.rectangle(n=(n, n), order=2),
    "tetrahedra": lambda n: ml.shapes.box(n=(n, n, 2)),
    "hexahedra": lambda n: ml.shapes.box(n=(n, 2, 2), cells="hexahedron"),
    "surface": lambda n: ml.shapes.sphere(refine=1 + n % 2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_mesh_with_fields_everywhere(kind):
    meshes = [with_fields(KINDS[kind](n), float(n)) for n in (3, 4)]
    model = Small(["f", "q", "load"], ["u", "s", "total"]).fit(meshes, **QUIET)
    prediction = model.predict(with_fields(KINDS[kind](5)))
    assert prediction.point_data["u"].shape == (prediction.n_points,)
    assert prediction.join_cells(prediction.cell_data["s"]).shape == (prediction.n_cells, prediction.dim)
    assert prediction.global_data["total"].shape == (2,)
    for values in (prediction.point_data["u"], prediction.global_data["total"]):
        assert bool(torch.isfinite(values).all())


def test_point_clouds_and_single_points():
    clouds = [with_fields(ml.Mesh(torch.rand(n, 3))) for n in (12, 30)]
    model = Small(["f"], ["u"], k=4).fit(clouds, **QUIET)
    for n in (1, 3, 50):
        values = model.predict(with_fields(ml.Mesh(torch.rand(n, 3)))).point_data["u"]
        assert values.shape == (n,)
        assert bool(torch.isfinite(values).all())


def test_moving_the_mesh_changes_nothing_unless_coordinates_are_absolute():
    meshes = [mesh.double() for mesh in small_meshes()]
    moved = meshes[0].replace(points=meshes[0].points + 13.0)
    for coordinates, same in (("centred", True), ("none", True), ("absolute", False)):
        model = Small(["f"], ["u"], coordinates=coordinates).fit(meshes, precision="64", **QUIET)
        a, b = (model.predict(mesh).point_data["u"] for mesh in (meshes[0], moved))
        assert torch.allclose(a, b, rtol=1e-8, atol=1e-9) == same


@pytest.mark.parametrize("processor", ["SAGEConv", "GATv2Conv", "TransformerConv", "GCNConv"])
def test_convolutions_of_pytorch_geometric(processor, tmp_path):
    options = {"heads": 2} if processor == "GATv2Conv" else None
    model = Small(["f"], ["u"], processor=processor, processor_options=options).fit(small_meshes(), **QUIET)
    model.save(tmp_path / "model")
    mesh = small_meshes()[0]
    assert torch.equal(ml.load(tmp_path / "model").predict(mesh).point_data["u"], model.predict(mesh).point_data["u"])


def test_bfloat16_and_64_bit():
    meshes = small_meshes()
    for precision in ("bf16", "64"):
        model = Small(["f"], ["u"]).fit(meshes, precision=precision, **QUIET)
        assert bool(torch.isfinite(model.predict(meshes[0]).point_data["u"]).all())


def test_flags_and_distances_of_boundary_sets():
    mesh = ml.shapes.square(n=4)
    table = boundary_features(mesh, ["left", "hole_*"], distances=True)
    x = mesh.points[:, 0]
    assert_close(table[:, 0], mesh.topology.is_boundary.float())
    assert_close(table[:, 1], (x == 0).float())
    assert not bool(table[:, 2].any()), "no hole: no flag"
    assert_close(table[:, 3], torch.minimum(x, 1 - x).minimum(mesh.points[:, 1]).minimum(1 - mesh.points[:, 1]))
    assert_close(table[:, 4], x)
    assert_close(table[:, 5], torch.full_like(x, 2**0.5))
    assert matching_points(mesh, "left").tolist() == (x == 0).nonzero().squeeze(1).tolist()
    with pytest.raises(ml.FieldError, match="lefd"):
        matching_points(mesh, "lefd")


def test_boundary_features_follow_sets_that_are_replaced():
    mesh = ml.shapes.square(n=4)
    for point in (0, 5):
        changed = mesh.replace(point_sets={"s": [point]})
        flag = boundary_features(changed, ["s"], distances=False)[:, 1]
        assert flag.nonzero().flatten().tolist() == [point]
    for row in (0, 3):
        flag = boundary_features(mesh.replace(cell_sets={"s": {"line": [row]}}), ["s"], distances=False)[:, 1]
        assert flag.nonzero().flatten().tolist() == sorted(mesh.cells["line"][row].tolist())


@pytest.mark.parametrize(
    "arguments",
    [
        {"hidden": 0},
        {"levels": 0},
        {"levels": 99},
        {"steps": 1.5},
        {"processor": "NoSuchConv"},
        {"processor": "GATConv", "processor_options": {"no_such_option": 1}},
        {"processor": "GATConv", "processor_options": {"heads": 3}},
        {"coordinates": "polar"},
        {"noise": 0.1},
        {"boundary_sets": "left"},
        {"aggregation": "median"},
        {"displacement": "f"},
    ],
    ids=str,
)
def test_impossible_arguments_are_named_errors(arguments):
    with pytest.raises(ml.MeshlearnError):
        Small(["f"], ["u"], **arguments).fit(small_meshes(), **QUIET)


@pytest.mark.slow
def test_it_learns_and_carries_over_to_other_sizes():
    """-u'' = load on unlike meshes: u depends on the distance to both sides, multiplied with the load."""

    def example(n, load):
        mesh = ml.shapes.square(n=n, cells="quad")
        x, y = mesh.points.unbind(1)
        return mesh.with_point_data(u=load * torch.sin(torch.pi * x) * torch.sin(torch.pi * y)).with_global_data(
            load=torch.tensor(load)
        )

    torch.manual_seed(0)
    loads = torch.linspace(-2, 2, 24).tolist()
    train = [example(6 + i % 4, load) for i, load in enumerate(loads)]
    test = [example(11, 1.1), example(5, -0.7)]
    constant = ml.MeanField(["load"], ["u"]).fit(train).score(test)["u"]
    model = ml.MeshGraphNet(["load"], ["u"], hidden=24, steps=2, levels=2)
    error = model.fit(train, epochs=40, learning_rate=3e-3, progress=False).score(test)["u"]
    assert error < 0.25 * constant, f"network {error:.3f}, constant {constant:.3f}"


def test_outward_directions_are_normals_on_smooth_boundaries():
    mesh = ml.shapes.disc(n=8).double()
    rim = mesh.topology.is_boundary
    radial = torch.nn.functional.normalize(mesh.points[rim] - mesh.points[rim].mean(0), dim=1)
    cosine = (outward_directions(mesh)[rim] * radial).sum(1)
    assert float(cosine.min()) > 0.6
    assert float(cosine.mean()) > 0.9


def test_the_facing_columns_are_those_of_the_nearest_boundary_point():
    mesh = ml.shapes.rectangle(4.0, 1.0, n=(16, 4), cells="quad")
    table = boundary_features(mesh, ["left", "hole_*"], distances=False, normals=True)
    flags, facing = table[:, :3], table[:, 3:].reshape(-1, 3, 2)
    assert bool(flags[:, 1].any())
    inner = (mesh.points[:, 1] > 0.3) & (mesh.points[:, 1] < 0.7)
    expected = torch.tensor([-1.0, 0.0]).expand(int(inner.sum()), 2)
    assert_close(facing[inner, 1], expected, atol=1e-6, rtol=0)
    assert not bool(facing[:, 2].any())
