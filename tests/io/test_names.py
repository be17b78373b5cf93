"""Names of any kind: what a format cannot spell is changed and told, files can be read again, nothing collides."""

import warnings

import pytest
import torch

import meshlearn as ml

NAMES = ["a/b", "a|b", "..", ".", 'x<y>&"z"', "new\nline", "", " ", " a", "tab\t", "\u65e5\u672c", "a,b", "a b", "a_b"]
WHOLE = (".mesh.safetensors", ".msh")
FORMATS = (*WHOLE, ".vtu", ".vtk", ".xdmf", ".npz", ".exo", ".med", ".cgns", ".avs", ".frd", ".ply")


def written(mesh, path):
    """The mesh read again, and what the warning said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ml.write(mesh, path)
        back = ml.read(path)
    return back, " ".join(str(warning.message) for warning in caught)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_field_comes_back_under_its_name_or_one_that_was_told(tmp_path, suffix):
    mesh = ml.shapes.square(n=2, boundary=False)
    mesh = mesh.with_point_data(**{name: torch.full((9,), float(k)) for k, name in enumerate(NAMES)})
    back, told = written(mesh, tmp_path / f"a{suffix}")
    assert len(back.point_data) == len(NAMES)
    for k, name in enumerate(NAMES):
        (found,) = [title for title, values in back.point_data.items() if bool((values == k).all())]
        assert found == name or f"{name!r} (now {found!r})" in told
    if suffix in WHOLE:
        assert list(back.point_data) == NAMES


@pytest.mark.parametrize("suffix", [*WHOLE, ".vtu", ".vtk", ".xdmf", ".npz", ".med", ".inp"])
def test_every_set_comes_back_under_its_name_or_one_that_was_told(tmp_path, suffix):
    mesh = ml.shapes.square(n=4, boundary=False)
    mesh = mesh.replace(
        point_sets={name: [k, k + 1] for k, name in enumerate(NAMES)},
        cell_sets={name: {"triangle": [k, k + 1]} for k, name in enumerate(NAMES)},
    )
    back, told = written(mesh, tmp_path / f"a{suffix}")
    for k, name in enumerate(NAMES):
        (dots,) = [title for title, rows in back.point_sets.items() if rows.tolist() == [k, k + 1]]
        (faces,) = [title for title, rows in back.cell_sets.items() if rows["triangle"].tolist() == [k, k + 1]]
        for found in (dots, faces):
            assert found == name or f"{name!r} (now {found!r})" in told


def test_fields_of_a_series_are_named_as_those_of_a_mesh(tmp_path):
    mesh = ml.shapes.square(n=1, boundary=False).with_point_data(**{"": torch.ones(4)})
    series = ml.Trajectory(mesh, [0.0, 1.0], {"u": torch.rand(2, 4)})
    back, told = written(series, tmp_path / "a.xdmf")
    assert torch.equal(back[0].point_data["unnamed"], torch.ones(4))
    assert "'' (now 'unnamed')" in told
