import json

import numpy as np
import pytest
import torch

import meshlearn as ml
from meshlearn.io.grid_files import CFDBench, PDEBench, TheWell

h5py = pytest.importorskip("h5py", reason='HDF5 files: pip install "meshlearn[formats]"')

X, Y = np.linspace(0.05, 0.95, 10), np.linspace(0.1, 1.9, 6)


def wave(t, *at):
    """A different number at every time and place, so that no two axes can be mistaken for each other."""
    return sum((10.0 ** -(i + 1)) * x for i, x in enumerate(at)) + 100.0 * np.asarray(t)


def on_grid(times, scale=1.0):
    t, x, y = np.meshgrid(times, X, Y, indexing="ij")
    return scale * wave(t, x, y)


def expected(trajectory, frame, scale=1.0):
    at = trajectory.mesh.points.double().numpy().T
    return torch.from_numpy(scale * wave(float(trajectory.times[frame]), *at)).float()


def close(a, b):
    return torch.allclose(a.float(), b.float(), rtol=1e-5, atol=1e-5)


# -- PDEBench ----------------------------------------------------------------------------------------------------


def test_pdebench_tensors_in_1d(tmp_path):
    times = np.arange(5) * 0.1
    with h5py.File(tmp_path / "burgers.hdf5", "w") as file:
        t, x = np.meshgrid(times[:4], X, indexing="ij")
        file["tensor"] = np.stack([wave(t, x), 2 * wave(t, x)])
        file["x-coordinate"], file["t-coordinate"] = X, times
    data = PDEBench(tmp_path / "burgers.hdf5")
    assert len(data) == 2
    trajectory = data[1]
    assert trajectory.mesh.cell_counts == {"line": 9}
    assert trajectory.times.tolist() == pytest.approx(times[:4].tolist())
    for frame in range(4):
        assert close(trajectory.point_data["u"][frame], expected(trajectory, frame, 2.0))
    thin = PDEBench(tmp_path / "burgers.hdf5", every=3, frames=2)[0]
    assert thin.mesh.n_points == 4
    assert thin.times.tolist() == pytest.approx([0.0, 0.2])
    assert close(thin.point_data["u"][1], expected(thin, 1))
    assert len(data[:]) == 2
    with pytest.raises(IndexError, match="number 2"):
        data[2]


def test_pdebench_darcy_gives_meshes(tmp_path):
    with h5py.File(tmp_path / "darcy.hdf5", "w") as file:
        file["tensor"], file["nu"] = on_grid([0.0])[None], on_grid([0.0], 3.0)
        file["x-coordinate"], file["y-coordinate"] = X, Y
    (mesh,) = PDEBench(tmp_path / "darcy.hdf5")
    assert isinstance(mesh, ml.Mesh)
    assert close(3 * mesh.point_data["u"], mesh.point_data["nu"])
    assert close(mesh.point_data["u"], torch.from_numpy(wave(0.0, *mesh.points.double().numpy().T)))


def test_pdebench_fields_of_compressible_flow(tmp_path):
    times = [0.0, 0.5, 1.0]
    with h5py.File(tmp_path / "cfd.hdf5", "w") as file:
        for number, name in enumerate(("density", "pressure", "Vx", "Vy"), start=1):
            file[name] = on_grid(times, number)[None]
        file["x-coordinate"], file["y-coordinate"], file["t-coordinate"] = X, Y, np.array([*times, 1.5])
    (trajectory,) = PDEBench(tmp_path / "cfd.hdf5")
    assert set(trajectory.point_data) == {"density", "pressure", "velocity"}
    assert close(trajectory.point_data["velocity"][2, :, 1], expected(trajectory, 2, 4.0))
    assert close(trajectory.point_data["pressure"][1], expected(trajectory, 1, 2.0))
    assert float(trajectory.mesh.cell_measures()["quad"].sum()) == pytest.approx(0.9 * 1.8, rel=1e-5)  # positive


@pytest.mark.parametrize("channels", [1, 2])
def test_pdebench_groups(tmp_path, channels):
    times = [0.0, 0.25]
    with h5py.File(tmp_path / "swe.h5", "w") as file:
        for key in ("0000", "0001", "0002"):
            group = file.create_group(key)
            group["data"] = np.stack([on_grid(times, c + 1) for c in range(channels)], axis=-1)
            group["grid/x"], group["grid/y"], group["grid/t"] = X, Y, times
    data = PDEBench(tmp_path / "swe.h5")
    assert len(data) == 3
    u = data[2].point_data["u"]
    assert u.shape == (2, 60) if channels == 1 else (2, 60, 2)
    assert close(u[1] if channels == 1 else u[1, :, 1], expected(data[2], 1, channels))


def test_pdebench_incompressible_flow(tmp_path):
    times, n, m = [0.0, 0.5, 1.0], 5, 4
    t, x, y = np.meshgrid(times, (np.arange(n) + 0.5) / n, (np.arange(m) + 0.5) / m, indexing="ij")
    values = wave(t, x, y)
    with h5py.File(tmp_path / "incompressible.h5", "w") as file:
        file["velocity"] = np.stack([values, 2 * values], axis=-1)[None].repeat(2, 0)
        file["particles"] = 3 * values[None, ..., None].repeat(2, 0)
        file["force"] = np.stack([4 * values[0], 5 * values[0]], axis=-1)[None].repeat(2, 0)
        file["t"] = np.array([times, times])
    flow = PDEBench(tmp_path / "incompressible.h5")[1]
    truth = expected(flow, 2)
    assert close(flow.point_data["velocity"][2], torch.stack([truth, 2 * truth], 1))
    assert close(flow.point_data["particles"][2], 3 * truth)
    assert close(flow.mesh.point_data["force"][:, 1], 5 * expected(flow, 0))


def test_parts_of_pdebench_files_that_are_missing_are_told(tmp_path):
    with h5py.File(tmp_path / "half.h5", "w") as file:
        for name in ("density", "Vx"):
            file[name] = on_grid([0.0, 1.0])[None]
        file["x-coordinate"], file["y-coordinate"], file["t-coordinate"] = X, Y, np.array([0.0, 1.0])
    with pytest.raises(ml.MeshReadError, match=r"\['Vx'\] of a velocity in 2-D"):
        PDEBench(tmp_path / "half.h5")[0]
    with h5py.File(tmp_path / "number.h5", "w") as file:
        file["tensor"] = 3.0
    with pytest.raises(ml.MeshReadError, match="not an array over trajectories"):
        PDEBench(tmp_path / "number.h5")
    with pytest.raises(ml.ParameterError, match="path=5"):
        PDEBench(5)


def test_too_few_points_are_the_fault_of_the_argument(tmp_path):
    well(tmp_path / "flow.hdf5")
    with pytest.raises(ml.ParameterError, match="every=20 leaves 1 of 10 points along x"):
        TheWell(tmp_path / "flow.hdf5", every=20)[0]
    with pytest.raises(TypeError):
        TheWell(tmp_path / "flow.hdf5")["0"]


def test_files_that_are_something_else_are_told(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["speed"] = np.zeros(3)
    with pytest.raises(ml.MeshReadError, match=r"other.h5.*speed"):
        PDEBench(tmp_path / "other.h5")
    with pytest.raises(ml.MeshReadError, match="no fields"):
        TheWell(tmp_path / "other.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    for reader in (PDEBench, TheWell):
        with pytest.raises(ml.MeshReadError, match=r"text\.h5"):
            reader(tmp_path / "text.h5")
        with pytest.raises(ml.MeshReadError, match="no such file"):
            reader(tmp_path / "missing.h5")
    with h5py.File(tmp_path / "half.h5", "w") as file:
        file["tensor"] = np.zeros((1, 3, 10))
        file["x-coordinate"], file["t-coordinate"] = X[::-1].copy(), np.arange(2)
    with pytest.raises(ml.MeshReadError, match="2 times for 3 frames"):
        PDEBench(tmp_path / "half.h5")[0]
    with pytest.raises(ml.ParameterError, match="every=0"):
        PDEBench(tmp_path / "half.h5", every=0)


# -- The Well ----------------------------------------------------------------------------------------------------


def well(path, times=(0.0, 0.5, 1.0)):
    with h5py.File(path, "w") as file:
        file.attrs.update(grid_type="cartesian", n_spatial_dims=2, n_trajectories=2)
        dimensions = file.create_group("dimensions")
        dimensions.attrs["spatial_dims"] = ["x", "y"]
        dimensions["time"], dimensions["x"], dimensions["y"] = np.array(times), X, Y
        tracer = np.stack([on_grid(times), on_grid(times, 2.0)])

        def field(group, name, values, **attrs):
            file.require_group(group)[name] = values
            file[group][name].attrs.update({"sample_varying": True, "time_varying": True, **attrs})

        field("t0_fields", "tracer", tracer)
        field("t0_fields", "wall", on_grid([0.0])[0], sample_varying=False, time_varying=False)
        layers = wave(0.0, X[:, None])
        field("t0_fields", "layer", np.stack([layers, layers]), time_varying=False, dim_varying=[True, False])
        field("t1_fields", "velocity", np.stack([tracer, 3 * tracer], axis=-1))
        field(
            "t2_fields",
            "stress",
            np.stack([tracer, 3 * tracer, 5 * tracer, 7 * tracer], axis=-1).reshape(2, 3, 10, 6, 2, 2),
        )
        field("scalars", "Reynolds", np.array(1e4), sample_varying=False, time_varying=False)
        field("scalars", "lid", np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]))
        field("scalars", "seed", np.array([7.0, 8.0]), time_varying=False)


def test_fields_and_scalars_of_the_well(tmp_path):
    well(tmp_path / "flow.hdf5")
    data = TheWell(tmp_path / "flow.hdf5")
    assert len(data) == 2
    trajectory = data[1]
    for frame in range(3):
        truth = expected(trajectory, frame, 2.0)
        assert close(trajectory.point_data["tracer"][frame], truth)
        assert close(trajectory.point_data["velocity"][frame, :, 1], 3 * truth)
        assert close(trajectory.point_data["stress"][frame, :, 1, 0], 5 * truth)
    assert close(
        trajectory.mesh.point_data["wall"], torch.from_numpy(wave(0.0, *trajectory.mesh.points.double().numpy().T))
    )
    assert close(
        trajectory.mesh.point_data["layer"], torch.from_numpy(wave(0.0, trajectory.mesh.points[:, 0].double().numpy()))
    )
    assert float(trajectory.mesh.global_data["Reynolds"]) == 1e4
    assert float(trajectory.mesh.global_data["seed"]) == 8.0
    assert trajectory.global_data["lid"].tolist() == [3.0, 4.0, 5.0]
    thin = TheWell(tmp_path / "flow.hdf5", every=2, frames=2)[0]
    assert thin.mesh.n_points == 15
    assert close(thin.point_data["tracer"][1], expected(thin, 1))


def test_boundary_conditions_of_the_well(tmp_path):
    well(tmp_path / "flow.hdf5")
    assert TheWell(tmp_path / "flow.hdf5").periodic == (False, False)
    with h5py.File(tmp_path / "flow.hdf5", "a") as file:
        for name, kind in {"x": "PERIODIC", "y": "WALL"}.items():
            group = file.create_group(f"boundary_conditions/{name}_boundary")
            group.attrs.update(bc_type=kind, associated_dims=[name], associated_fields=[])
    data = TheWell(tmp_path / "flow.hdf5")
    assert data.boundaries == {"x_boundary": ("periodic", ("x",)), "y_boundary": ("wall", ("y",))}
    assert data.periodic == (True, False)
    assert np.allclose(data.box, [[X[0], Y[0]], [X[-1] + X[1] - X[0], Y[-1]]])
    mesh = data[0].mesh
    grid = ml.MeshToGrid((len(X), len(Y)), periodic=data.periodic, box=data.box).grid(mesh)
    assert close(grid.points[:: len(Y), 0], torch.from_numpy(X))  # its nodes are the points
    with h5py.File(tmp_path / "flow.hdf5", "a") as file:
        del file["boundary_conditions/y_boundary"].attrs["bc_type"]
    with pytest.raises(ml.MeshReadError, match="bc_type"):
        _ = TheWell(tmp_path / "flow.hdf5").boundaries


def test_other_grids_of_the_well_are_told(tmp_path):
    well(tmp_path / "flow.hdf5")
    with h5py.File(tmp_path / "flow.hdf5", "a") as file:
        file.attrs["grid_type"] = "spherical"
    with pytest.raises(ml.MeshReadError, match="spherical"):
        TheWell(tmp_path / "flow.hdf5")


# -- CFDBench ----------------------------------------------------------------------------------------------------


def cavity(folder, frames=3, **numbers):
    folder.mkdir(parents=True)
    t, y, x = np.meshgrid(0.1 * np.arange(frames), np.linspace(0, 0.4, 6), np.linspace(0, 2, 10), indexing="ij")
    np.save(folder / "u.npy", wave(t, x, y))
    np.save(folder / "v.npy", 2 * wave(t, x, y))
    known = {"vel_top": 3.0, "density": 1.0, "viscosity": 0.01, "height": 0.4, "width": 2.0}
    (folder / "case.json").write_text(json.dumps({**known, **numbers}))


def test_cases_of_cfdbench(tmp_path):
    cavity(tmp_path / "cavity" / "bc" / "case0000")
    cavity(tmp_path / "cavity" / "geo" / "case0000", vel_top=5.0)
    data = CFDBench(tmp_path / "cavity")
    assert len(data) == 2
    trajectory = data[1]
    assert float(trajectory.mesh.global_data["vel_top"]) == 5.0
    assert trajectory.mesh.points.amax(0).tolist() == pytest.approx([2.0, 0.4])
    for frame in range(3):
        velocity = trajectory.point_data["velocity"][frame]
        assert close(velocity[:, 0], expected(trajectory, frame))
        assert close(velocity[:, 1], 2 * velocity[:, 0])
    assert CFDBench(tmp_path / "cavity" / "bc", time_step=0.01, frames=2)[0].times.tolist() == pytest.approx(
        [0.0, 0.02]
    )


def test_damaged_cases_of_cfdbench_are_told(tmp_path):
    with pytest.raises(ml.MeshReadError, match="no case"):
        CFDBench(tmp_path)
    cavity(tmp_path / "case0000")
    np.save(tmp_path / "case0000" / "v.npy", np.zeros((3, 4)))
    with pytest.raises(ml.MeshReadError, match="v \\(3, 4\\)"):
        CFDBench(tmp_path)[0]
    np.save(tmp_path / "case0000" / "v.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ml.MeshReadError, match="pickle"):
        CFDBench(tmp_path)[0]
    np.save(tmp_path / "case0000" / "v.npy", np.zeros((3, 6, 10), dtype=complex))
    with pytest.raises(ml.MeshReadError, match="complex128: real numbers"):
        CFDBench(tmp_path)[0]
    for text, told in (("[1, 2]", "holds a list"), ('{"height": "two"}', "sides of the box")):
        (tmp_path / "case0000" / "case.json").write_text(text)
        with pytest.raises(ml.MeshReadError, match=told):
            CFDBench(tmp_path)[0]
    with pytest.raises(ml.ParameterError, match="time_step=0"):
        CFDBench(tmp_path, time_step=0)


@pytest.mark.filterwarnings("ignore::meshlearn.grids.GridWarning")
def test_collections_are_lazy_data_for_fit(tmp_path):
    cavity(tmp_path / "case0000")
    cavity(tmp_path / "case0001", viscosity=0.02)
    data = CFDBench(tmp_path)
    core = {"core": "unet", "core_options": {"hidden": 4, "multipliers": [1], "blocks": 1}, "shape": 8}
    model = ml.GridOperator(["velocity", "viscosity"], ["velocity"], **core).fit(data, epochs=1, progress=False)
    assert model.predict(data[0]).point_data["velocity"].shape == (3, 60, 2)
