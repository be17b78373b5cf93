"""Time series: in one file, in a list of files, in numbered files."""

import pytest
import torch
from io_meshes import assert_same

import meshlearn as ml


@pytest.fixture
def movie():
    mesh = ml.shapes.square(n=3).double()
    n, t = mesh.n_points, torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)
    kinds = {kind: torch.randn(3, len(table), dtype=torch.float64) for kind, table in mesh.cells.items()}
    return ml.Trajectory(
        mesh,
        t,
        {"u": torch.randn(3, n, dtype=torch.float64), "w": torch.randn(3, n, 2, dtype=torch.float64)},
        {"p": kinds},
        {"load": torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)},
    )


def moving(movie):
    shift = torch.arange(3.0).double()[:, None, None] * torch.ones(2).double()
    return movie.replace(moving_points=movie.mesh.points + shift)


@pytest.mark.parametrize("suffix", [".mesh.safetensors", ".xdmf", ".pvd", ".exo"])
def test_series_come_back(tmp_path, movie, suffix):
    ml.write(movie, tmp_path / f"a{suffix}")
    back = ml.read(tmp_path / f"a{suffix}")
    assert isinstance(back, ml.Trajectory)
    assert torch.equal(back.times, movie.times)
    assert all(torch.equal(back.point_data[name], movie.point_data[name]) for name in movie.point_data)
    assert all(torch.equal(back.cell_data["p"][kind], v) for kind, v in movie.cell_data["p"].items())
    assert torch.equal(back.global_data["load"], movie.global_data["load"])
    assert {k: v.tolist() for k, v in back.mesh.cells.items()} == {k: v.tolist() for k, v in movie.mesh.cells.items()}
    assert torch.equal(ml.read(tmp_path / f"a{suffix}", step=1).point_data["u"], movie.point_data["u"][1])
    with pytest.raises(ml.MeshReadError, match="steps 0 to 2"):
        ml.read(tmp_path / f"a{suffix}", step=3)


@pytest.mark.parametrize("suffix", [".mesh.safetensors", ".xdmf", ".pvd", ".exo"])
def test_fields_of_the_still_mesh_are_in_every_step(tmp_path, movie, suffix):
    still = movie.mesh.with_point_data(q=torch.arange(16.0).double()).with_global_data(young=torch.tensor(2.0).double())
    still = still.with_cell_data(e=torch.arange(18.0).double())
    film = movie.replace(mesh=still)
    back = ml.read(ml.write(film, tmp_path / f"a{suffix}"))
    for ours, theirs in zip(film, back, strict=True):
        assert torch.equal(ours.point_data["q"], theirs.point_data["q"])
        assert torch.equal(ours.cell_data["e"]["triangle"], theirs.cell_data["e"]["triangle"])
        assert float(theirs.global_data["young"]) == 2.0


@pytest.mark.parametrize("suffix", [".mesh.safetensors", ".xdmf", ".pvd"])
def test_moving_points_come_back(tmp_path, movie, suffix):
    film = moving(movie)
    ml.write(film, tmp_path / f"a{suffix}")
    assert torch.equal(ml.read(tmp_path / f"a{suffix}").moving_points, film.moving_points)


def test_formats_of_one_time_refuse_series(tmp_path, movie):
    with pytest.raises(ml.MeshWriteError, match=r"holds one time(.|\n)*\.pvd"):
        ml.write(movie, tmp_path / "a.vtu")


def test_numbered_files(tmp_path, movie):
    for k, time in enumerate((1, 2, 10)):
        ml.write(movie[k].replace(global_data={}), tmp_path / f"run_{time}.vtu")
    series = ml.read_series(tmp_path / "run_*.vtu")
    assert series.times.tolist() == [1.0, 2.0, 10.0]
    assert torch.equal(series.point_data["w"], movie.point_data["w"])
    assert ml.read_series(tmp_path / "run_*.vtu", times=[0.0, 1.0, 3.0]).times.tolist() == [0.0, 1.0, 3.0]
    ml.write(ml.shapes.square(n=2), tmp_path / "run_11.vtu")
    with pytest.raises(ml.MeshReadError, match=r"run_11\.vtu does not go with .*run_1\.vtu(.|\n)*9, 2"):
        ml.read_series(tmp_path / "run_*.vtu")


def test_one_step_is_a_mesh(tmp_path, movie):
    ml.write(movie[1], tmp_path / "a.pvd")
    back = ml.read(tmp_path / "a.pvd")
    assert isinstance(back, ml.Mesh)
    assert float(back.global_data["time"]) == 0.5
    assert_same(back.replace(global_data={}), movie[1].replace(global_data={}))


def test_list_with_a_missing_file(tmp_path, movie):
    ml.write(movie, tmp_path / "a.pvd")
    (tmp_path / "a_steps" / "a_00001.vtu").unlink()
    with pytest.raises(ml.MeshReadError, match=r"a\.pvd.*a_00001\.vtu"):
        ml.read(tmp_path / "a.pvd")


def test_cgns_cells_in_time(tmp_path):
    """Two cell-centred solutions, assigned to two times by the pointers of the zone."""
    import h5py
    import numpy as np

    from meshlearn.io.formats.cgns_write import _node

    mesh = ml.shapes.rectangle(n=(2, 1), cells="quad").replace(cell_sets={})
    mesh = ml.Mesh(mesh.points, {"quad": mesh.cells["quad"]})
    ml.write(mesh.with_cell_data(p=torch.tensor([1.0, 2.0])), tmp_path / "a.cgns")
    with h5py.File(tmp_path / "a.cgns", "r+") as file:
        zone = file["Base/Zone"]
        zone.copy("CellFields", "Second")
        zone["Second"].attrs.create("name", np.bytes_(b"Second"), dtype="S33")
        zone["Second/p/ data"][...] = [3.0, 4.0]
        times = _node(file["Base"], "Times", "BaseIterativeData_t", np.array([2], np.int32))
        _node(times, "TimeValues", "DataArray_t", np.array([0.5, 1.5]))
        pointers = _node(zone, "Iterations", "ZoneIterativeData_t")
        names = np.frombuffer(b"CellFields".ljust(32) + b"Second".ljust(32), np.int8).reshape(2, 32)
        _node(pointers, "FlowSolutionPointers", "DataArray_t", names)
    series = ml.read(tmp_path / "a.cgns")
    assert isinstance(series, ml.Trajectory)
    assert series.times.tolist() == [0.5, 1.5]
    assert series.cell_data["p"]["quad"].tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_numbered_files_with_cell_data_of_unlike_shapes(tmp_path):
    mesh = ml.shapes.square(n=2)
    ml.write(mesh.with_cell_data(q=torch.zeros(8), p=torch.zeros(8)), tmp_path / "run_1.vtu")
    ml.write(mesh.with_cell_data(q=torch.zeros(8), p=torch.zeros(8, 3)), tmp_path / "run_2.vtu")
    with pytest.raises(ml.MeshReadError, match=r"run_2\.vtu does not go with(.|\n)*cell_data\['p'\]"):
        ml.read_series(tmp_path / "run_*.vtu")


def test_times_that_do_not_ascend(tmp_path):
    for k in range(2):
        ml.write(ml.shapes.square(n=2), tmp_path / f"run_{k}.vtu")
    with pytest.raises(ml.MeshReadError, match=r"run_0\.vtu(.|\n)*ascend"):
        ml.read_series(tmp_path / "run_*.vtu", times=[1.0, 0.0])
