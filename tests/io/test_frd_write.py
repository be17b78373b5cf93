"""CalculiX results as we write them: what is read back, what is said to be lost, and files of the solver itself."""

import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
import torch
from io_meshes import assert_same

import meshlearn as ml
from meshlearn.io.formats.frd import TYPES

F64 = torch.float64
FILES = Path(__file__).parent / "files"
SHAPES = ml.shapes
needs_ccx = pytest.mark.skipif(shutil.which("ccx") is None, reason="the solver ccx (package calculix-ccx) is missing")


def _six(values: torch.Tensor) -> torch.Tensor:
    """The values with the six digits that the format has."""
    return torch.tensor([float(f"{v:.5E}") for v in values.flatten().tolist()], dtype=F64).reshape(values.shape)


def _plain(mesh: ml.Mesh, full: bool | None = None) -> ml.Mesh:
    """The cells of the domain at points that six digits hold."""
    mesh = mesh if full is None else ml.second_order(mesh, full=full)
    cells = {kind: mesh.cells[kind] for kind in mesh.domain_types}
    return ml.Mesh(_six(mesh.points.double()), cells)


def _box(kind: str) -> ml.Mesh:
    return SHAPES.box(2.0, 1.0, 1.0, n=(2, 1, 1), cells=kind).double()


def _sheet(kind: str) -> ml.Mesh:
    return SHAPES.rectangle(2.0, 1.0, n=(2, 1), cells=kind).double()


MESHES = {
    "tetra": _plain(_box("tetra")), "tetra10": _plain(_box("tetra"), False),
    "hexahedron": _plain(_box("hexahedron")), "hexahedron20": _plain(_box("hexahedron"), False),
    "wedge": _plain(_box("wedge")), "wedge15": _plain(_box("wedge"), False),
    "triangle": _plain(_sheet("triangle")), "triangle6": _plain(_sheet("triangle"), False),
    "quad": _plain(_sheet("quad")), "quad8": _plain(_sheet("quad"), False),
    "line": ml.Mesh(torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]).double(), {"line": [[0, 1], [1, 2]]}),
    "line3": ml.Mesh(torch.tensor([[0.0, 0, 0], [1, 0, 0], [0.5, 0, 0]]).double(), {"line3": [[0, 1, 2]]}),
}  # fmt: skip


def _blocks(path: Path) -> list[str]:
    """The lines of nodes, elements and results, without the headers that hold dates and times."""
    return [line.rstrip() for line in path.read_text().splitlines() if not line.startswith(("    1", "  100CL"))]


def _contents(mesh: ml.Mesh) -> ml.Mesh:
    return mesh.replace(source=None, report=())


def test_every_kind_that_is_read_is_written():
    assert set(MESHES) == {kind for kind, _, _ in TYPES.values()}


@pytest.mark.parametrize("kind", MESHES)
def test_cells_come_back(tmp_path, kind):
    mesh = MESHES[kind].with_point_data(u=_six(torch.randn(MESHES[kind].n_points).double()))
    size = len(mesh.cells[kind])
    marks = {"group": {kind: torch.arange(size) - 999}, "material": {kind: 99999 - torch.arange(size)}}
    mesh = mesh.replace(cell_data=marks, global_data={"time": torch.tensor(0.25).double()})
    assert_same(_contents(ml.read(ml.write(mesh, tmp_path / "a.frd"), dim=mesh.dim)), mesh)


def test_fields_of_all_widths_come_back(tmp_path):
    mesh = MESHES["wedge"]
    n = mesh.n_points
    fields = {f"w{k}": _six(torch.randn(n, k).double() * 10.0 ** torch.arange(-9, -9 + k)) for k in range(2, 15)}
    holes = _six(torch.randn(n, 3).double())
    holes[2], holes[5, 1], holes[4, 0] = torch.nan, torch.nan, -torch.inf
    large = torch.tensor([1e300, -1e300, 1e-300, -1e-300, 5e-324, 0.0], dtype=F64).repeat(2)
    fields |= {"u": _six(torch.randn(n).double()), "DISP": holes, "large": large, "Drück": torch.ones(n).double()}
    mesh = mesh.with_point_data(**fields, none=torch.full((n,), torch.nan).double())
    path = ml.write(mesh, tmp_path / "a.frd")
    read = ml.read(path)
    assert list(read.point_data) == list(mesh.point_data)
    for name, values in mesh.point_data.items():
        assert torch.equal(read.point_data[name].nan_to_num(7.0), values.nan_to_num(7.0)), name
    assert " -5  D2          1    2    2    0\n" in path.read_text()
    assert " -5  ZX          1    4    3    1\n" in path.read_text()
    assert " -1         3" not in path.read_text().split("DISP")[1].split(" -3")[0]


def test_the_sign_of_a_very_large_number_costs_a_digit(tmp_path):
    mesh = MESHES["tetra"]
    mesh = mesh.with_point_data(u=torch.full((mesh.n_points,), -1.23456e300, dtype=F64))
    with pytest.warns(ml.MeshWriteWarning, match="digits beyond the sixth of point data 'u'"):
        read = ml.read(ml.write(mesh, tmp_path / "a.frd"))
    assert read.point_data["u"].tolist() == [-1.2346e300] * mesh.n_points


def test_tensors_become_six_or_nine_components(tmp_path):
    mesh = MESHES["tetra"]
    tensor = _six(torch.randn(mesh.n_points, 3, 3).double())
    mesh = mesh.with_point_data(sigma=tensor + tensor.mT, F=tensor)
    mesh = mesh.with_point_data(sigma=_six(mesh.point_data["sigma"]))
    with pytest.warns(ml.MeshWriteWarning) as caught:
        read = ml.read(ml.write(mesh, tmp_path / "a.frd"))
    said = str(caught[0].message)
    assert "(3, 3) of point data 'sigma' (now XX, YY, ZZ, XY, YZ, ZX)" in said
    assert "(3, 3) of point data 'F' (now components)" in said
    assert "digits" not in said
    s = mesh.point_data["sigma"]
    six = torch.stack([s[:, 0, 0], s[:, 1, 1], s[:, 2, 2], s[:, 0, 1], s[:, 1, 2], s[:, 2, 0]], 1)
    assert torch.equal(read.point_data["sigma"], six)
    assert torch.equal(read.point_data["F"], tensor.reshape(-1, 9))


def test_long_names_are_cut_told_and_stay_apart(tmp_path):
    ones = torch.ones(MESHES["tetra"].n_points).double()
    names = ["pressure_left", "pressure", "pressure_right", "größeres", " a", "b\nc"]
    mesh = MESHES["tetra"].with_point_data(**{name: k * ones for k, name in enumerate(names)})
    with pytest.warns(ml.MeshWriteWarning) as caught:
        read = ml.read(ml.write(mesh, tmp_path / "a.frd"))
    assert list(read.point_data) == ["pressur1", "pressure", "pressur2", "größer", "a", "b_c"]
    assert [float(values[0]) for values in read.point_data.values()] == list(range(6))
    said = str(caught[0].message)
    assert all(f"the name of point data {name!r}" in said for name in names if name != "pressure")
    assert "the name of point data 'pressure' " not in said


def test_what_has_no_place_is_named(tmp_path):
    n = MESHES["tetra"].n_points
    mesh = MESHES["tetra"].replace(
        points=MESHES["tetra"].points / 3,
        point_data={"i": torch.arange(n), "third": torch.ones(n).double() / 3, "big": torch.full((n,), 2**60 + 1),
                    "z": torch.ones(n, dtype=torch.complex128), "one": torch.ones(n, 1).double()},
        cell_data={"k": {"tetra": torch.ones(12)}, "group": {"tetra": torch.full((12,), 100_000)}},
        global_data={"time": torch.tensor(0.12345678901234, dtype=F64), "load": torch.tensor(1.0)},
        point_sets={"tip": torch.tensor([0])}, cell_sets={"all": {"tetra": torch.arange(12)}},
    )  # fmt: skip
    with pytest.warns(ml.MeshWriteWarning) as caught:
        read = ml.read(ml.write(mesh, tmp_path / "a.frd"))
    said = str(caught[0].message)
    for part in (
        "the type int64 of point data 'i' (now float64)",
        "the type complex128 of point data 'z' (now float64)",
        "the shape () of point data 'z' (now components)",
        "the shape (1,) of point data 'one' (now components)",
        "digits beyond the sixth of the coordinates, point data 'third', point data 'big'",
        "digits of global data 'time' beyond 12 columns",
        "cell data 'k', 'group'", "global data 'load'", "point sets 'tip'", "cell sets 'all'",
    ):  # fmt: skip
        assert part in said, (part, said)
    torch.testing.assert_close(read.points, mesh.points, rtol=5e-6, atol=0)
    torch.testing.assert_close(read.point_data["third"], mesh.point_data["third"], rtol=5e-6, atol=0)
    assert float(read.global_data["time"]) == pytest.approx(0.12345678901234, rel=1e-9)


def test_cells_that_the_format_lacks_are_refused(tmp_path):
    with pytest.raises(ml.MeshWriteError, match="pyramid"):
        ml.write(SHAPES.box(n=1, cells="pyramid"), tmp_path / "a.frd")
    assert not list(tmp_path.iterdir())


def test_series_come_back(tmp_path):
    mesh = MESHES["tetra10"]
    n = mesh.n_points
    still = mesh.with_point_data(E=_six(torch.randn(n).double()))
    fields = {"T": _six(torch.randn(3, n).double()), "DISP": _six(torch.randn(3, n, 3).double())}
    times = torch.tensor([-0.125, 1 / 1024, 123456.78125], dtype=F64)
    series = ml.Trajectory(still, times, fields)
    read = ml.read(ml.write(series, tmp_path / "a.frd"))
    assert torch.equal(read.times, times)
    assert all(torch.equal(read.point_data[name], values) for name, values in fields.items())
    assert torch.equal(read.point_data["E"], still.point_data["E"].expand(3, n))
    assert torch.equal(ml.read(tmp_path / "a.frd", step=1).point_data["T"], fields["T"][1])


def test_what_series_lose_is_named(tmp_path):
    mesh = MESHES["tetra"]
    n, times = mesh.n_points, [0.0, 1 / 3]
    series = ml.Trajectory(
        mesh, times, {"T": torch.ones(2, n).double()}, {"group": {"tetra": torch.zeros(2, 12).long()}},
        {"load": torch.ones(2)}, mesh.points.expand(2, n, 3),
    )  # fmt: skip
    with pytest.warns(ml.MeshWriteWarning) as caught:
        read = ml.read(ml.write(series, tmp_path / "a.frd"))
    said = str(caught[0].message)
    for part in ("cell data 'group' over time", "global data 'load' over time", "moving points", "digits of the times"):
        assert part in said
    assert read.times.tolist() == pytest.approx(times, rel=1e-7)
    with pytest.warns(ml.MeshWriteWarning, match=r"the times \(there are no point data\)"):
        ml.write(ml.Trajectory(mesh, [0.0, 1.0]), tmp_path / "b.frd")


def test_values_of_steps_that_do_not_ascend(tmp_path):
    """Frequencies after a static step: the reader numbers the steps and keeps the values."""
    values = torch.tensor([1.0, 0.5, 0.75]).double()
    series = ml.Trajectory(
        MESHES["tetra"], [0.0, 1.0, 2.0], {"u": torch.ones(3, 12).double()}, global_data={"value": values}
    )
    read = ml.read(ml.write(series, tmp_path / "a.frd"))
    assert torch.equal(read.global_data["value"], values)
    assert read.times.tolist() == [0, 1, 2]


def test_a_file_of_the_solver_comes_back(tmp_path):
    series = ml.read(FILES / "pull.frd")
    read = ml.read(ml.write(series, tmp_path / "pull.frd"))
    assert _blocks(tmp_path / "pull.frd") == _blocks(FILES / "pull.frd")
    assert torch.equal(read.times, series.times)
    assert_same(_contents(read[1]), _contents(series[1]))


def _run(folder: Path, mesh: ml.Mesh, step: str) -> Path:
    """Compute a bar that is held at x = 0; the deck includes the mesh as we write it."""
    x = mesh.points[:, 0]
    sets = {"fixed": torch.nonzero(x == 0)[:, 0], "tip": torch.nonzero(x == x.max())[:, 0]}
    solid = {kind: torch.arange(len(table)) for kind, table in mesh.cells.items()}
    ml.write(mesh.replace(point_sets=sets, cell_sets={"solid": solid}), folder / "mesh.inp")
    plane = ", OUTPUT=2D" if mesh.cell_dim < 3 else ""
    (folder / "run.inp").write_text(
        "*INCLUDE, INPUT=mesh.inp\n*MATERIAL, NAME=steel\n*ELASTIC\n1000., 0.3\n*DENSITY\n1.\n"
        "*SOLID SECTION, ELSET=solid, MATERIAL=steel\n1.\n*BOUNDARY\nfixed, 1, 3\n"
        + step.replace("OUTPUT", f"*NODE FILE{plane}\nU\n*EL FILE{plane}\nS\n*END STEP\n")
    )
    done = subprocess.run(["ccx", "run"], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    return folder / "run.frd"


STATIC = "*STEP\n*STATIC\n*CLOAD\ntip, 1, 1.\nOUTPUT"


@needs_ccx
@pytest.mark.parametrize("kind", MESHES)
def test_the_solver_numbers_nodes_as_we_do(tmp_path, kind):
    mesh = MESHES[kind]
    path = _run(tmp_path, mesh, STATIC)
    found = ml.read(path, dim=mesh.dim)
    assert torch.equal(found.cells[kind], mesh.cells[kind])
    assert torch.equal(found.points, mesh.points)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ml.MeshWriteWarning)  # nothing is lost
        again = ml.write(found, tmp_path / "again.frd")
    assert _blocks(again) == _blocks(path)
    assert_same(_contents(ml.read(again, dim=mesh.dim)), _contents(found))


@needs_ccx
def test_series_of_the_solver_come_back(tmp_path):
    steps = (
        STATIC.replace("*STEP\n*STATIC", "*STEP, NLGEOM\n*STATIC, DIRECT\n0.25, 1.") + "*STEP\n*FREQUENCY\n3\nOUTPUT"
    )
    path = _run(tmp_path, MESHES["hexahedron20"], steps)
    found = ml.read(path)
    assert len(found) == 7
    assert found.global_data["value"][:4].tolist() == [0.25, 0.5, 0.75, 1.0]
    again = ml.read(ml.write(found, tmp_path / "again.frd"))
    assert _blocks(tmp_path / "again.frd") == _blocks(path)
    assert torch.equal(again.global_data["value"], found.global_data["value"])
    for ours, theirs in zip(again, found, strict=True):
        assert_same(_contents(ours), _contents(theirs))
