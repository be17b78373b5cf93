"""Every file of the corpus loads with the counts of its manifest, or is refused by name; what loads survives a round
trip."""

import warnings

import pytest
from io_meshes import assert_same, decorated, load_manifest

import meshlearn as ml

pytestmark = pytest.mark.filterwarnings("ignore::meshlearn.errors.MeshReadWarning")
TURNED = {"voxel": "hexahedron"}


def mesh_of(result):
    return result if isinstance(result, ml.Mesh) else result.mesh


def test_every_file_of_the_manifest(shared_data):
    rows = load_manifest(shared_data / "io")
    assert len(rows) > 80
    wrong = []
    for row in rows:
        path = shared_data / "io" / row["file"]
        try:
            mesh = mesh_of(ml.read(path))
        except ml.MeshReadError as error:
            if row["expected"] != "error" or path.name not in str(error):
                wrong.append((row["file"], str(error)))
            continue
        expected = {}
        for pair in row["cells_by_type"].split():
            kind, count = pair.split(":")
            expected[TURNED.get(kind, kind)] = int(count)
            assert kind not in TURNED or any(kind in note for note in mesh.report), "a changed kind must be reported"
        if row["expected"] == "error" or (mesh.n_points, mesh.cell_counts) != (int(row["points"]), expected):
            wrong.append((row["file"], mesh.n_points, mesh.cell_counts))
    assert not wrong, wrong


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".msh", ".mesh.safetensors"])
def test_every_readable_file_survives_a_round_trip(shared_data, tmp_path, suffix):
    done = 0
    for row in load_manifest(shared_data / "io"):
        if row["expected"] != "ok":
            continue
        found = ml.read(shared_data / "io" / row["file"])
        mesh = mesh_of(found)
        frames = [] if isinstance(found, ml.Mesh) else [found[0], found[-1]]
        for version in (mesh, *frames, decorated(mesh)):
            target = tmp_path / f"copy{suffix}"
            try:
                ml.write(version, target)
            except ml.MeshWriteError as error:
                if suffix != ".msh" or "Gmsh has no element type" not in str(error):
                    raise
                continue
            assert_same(version, ml.read(target))
            done += 1
    assert done > 100


def test_two_dimensional_files(shared_data):
    folder = shared_data / "io"
    plane = ml.read(folder / "scikit-fem/annulus.msh")
    assert plane.dim == 2
    assert any("dim=3" in note for note in plane.report)
    assert ml.read(folder / "scikit-fem/annulus.msh", dim=3).dim == 3
    assert ml.read(folder / "torch-fem/clamped_plate_uniform_S8R.vtk").dim == 3, "solids stay in space"
    with pytest.raises(ml.MeshReadError, match="non-zero"):
        ml.read(folder / "scikit-fem/beams.msh", dim=2)


def test_physical_groups_are_named_cell_sets(shared_data):
    mesh = ml.read(shared_data / "io/scikit-fem/oriented_squares.msh")
    assert {name: {k: len(v) for k, v in by.items()} for name, by in mesh.cell_sets.items()} == {
        "poly_exterior_points": {"vertex": 4},
        "poly_exterior": {"line": 8},
        "poly_box___background": {"line": 8},
        "poly_box": {"triangle": 16},
        "background": {"triangle": 250},
    }


def test_time_series_of_the_corpus(shared_data):
    series = ml.read(shared_data / "io/vtk-data/no_checkpoint.xdmf")
    assert isinstance(series, ml.Trajectory)
    assert series.times.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert series.point_data["f_5"].shape == (5, 729)
    last = ml.read(shared_data / "io/vtk-data/no_checkpoint.xdmf", step=-1)
    assert last.point_data["f_5"].equal(series.point_data["f_5"][-1])


def test_values_agree_with_meshio(shared_data):
    """Where meshio reads a file, it finds the same points, cells and fields."""
    import meshio

    for name in ("converted/beam_h5t12_ascii.vtu", "torch-fem/copv.vtu", "sfepy/beam_w14.vtk", "sfepy/bridge3d.vtk"):
        ours = ml.read(shared_data / "io" / name, dim=3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = ml.Mesh.from_meshio(meshio.read(shared_data / "io" / name))
        assert_same(ours.replace(cell_data={}), theirs.replace(cell_data={}))


def test_cars(shared_data):
    mesh = ml.read(shared_data / "cars/car_00.vtu")
    assert (mesh.n_points, mesh.cell_counts, mesh.dim) == (3586, {"triangle": 7168}, 3)
    assert mesh.is_watertight
