"""What a file does not give back was named in a warning when it was written: every format, meshes of many kinds."""

import warnings

import pytest
import torch

import meshlearn as ml
from meshlearn.io import registry

WRITERS = [form.name for form in registry.supported_formats() if form.reads and form.writes]
# these formats make numbers of names, or new points: what comes back is checked elsewhere
GEOMETRY_ONLY = ("stl",)
SHAPES = ml.shapes


def labelled(mesh):
    """Fields of all shapes and tags of all kinds, under names that formats trip over."""
    n, kinds, domain = mesh.n_points, list(mesh.cells), mesh.domain_types
    rows = {kind: torch.arange(len(table)) for kind, table in mesh.cells.items()}
    return mesh.replace(
        point_data={
            "T": torch.randn(n).double(), "v": torch.randn(n, mesh.dim).double(), "two words": torch.randn(n).double(),
            "x": torch.ones(n).double(), "a,b": torch.ones(n).double(), "s_x": torch.zeros(n).double(),
            "s_y": torch.ones(n).double(), "Drück": torch.ones(n).double(), "sigma": torch.randn(n, 3, 3).double(),
            "id": torch.arange(n), "flag": torch.arange(n) % 2 == 0, "single": torch.randn(n),
        },
        cell_data={
            "domain": {kind: torch.randn(len(rows[kind])).double() for kind in domain},
            "all": {kind: torch.randn(len(own)).double() for kind, own in rows.items()},
            "number": rows,
            "first": {kind: torch.randn(len(rows[kind])).double() for kind in kinds[:1]},
            "pairs": {kind: torch.randn(len(rows[kind]), 2).double() for kind in domain},
        } if kinds else {},
        global_data={"load": torch.tensor(2.0).double(), "vec": torch.ones(3).double(), "n": torch.tensor(4)},
        point_sets={"corner": torch.tensor([0, 1]), "my set": torch.tensor([2])},
        cell_sets=dict(mesh.cell_sets) | {
            "domain one": {kind: rows[kind][:1] for kind in domain[:1]},
            "overlap": {kind: rows[kind] for kind in domain[:1]},
            "default": {kind: rows[kind][:1] for kind in domain[:1]},
            "everything": rows,
        } if kinds else {},
    )  # fmt: skip


MESHES = {
    "mixed": SHAPES.rectangle(n=(3, 2), cells="mixed"),
    "second order": ml.second_order(SHAPES.square(n=2)),
    "solid": SHAPES.box(n=(2, 1, 1), cells="hexahedron"),
    "full hexahedra": ml.second_order(SHAPES.box(n=(1, 1, 1), cells="hexahedron"), full=True),
    "surface": SHAPES.sphere(refine=1),
    "cloud": ml.Mesh(torch.rand(5, 3)),
    "polygons": ml.Mesh(torch.rand(6, 2), {"polygon": [[0, 1, 2, 3, 4]], "triangle": [[0, 4, 5]]}),
}


def same(ours, theirs):
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        return False
    return torch.equal(ours, theirs)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("title", MESHES)
def test_what_does_not_come_back_is_named(tmp_path, name, title):
    form = registry.by_name(name)
    mesh = labelled(MESHES[title].double())
    path = tmp_path / f"ünï code{form.suffixes[0]}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            ml.write(mesh, path, format=name)
        except ml.MeshWriteError:  # cells of the domain that it cannot hold
            assert not list(tmp_path.iterdir())
            return
    said = " ".join(str(warning.message) for warning in caught)
    read = ml.read(path, dim=mesh.dim)
    if name in GEOMETRY_ONLY:
        return
    rounded = 1e-5 if "digits beyond the sixth of the coordinates" in said else 1e-11
    torch.testing.assert_close(read.points, mesh.points, rtol=0, atol=rounded)
    for kind, table in mesh.cells.items():
        assert (kind in read.cells and torch.equal(read.cells[kind], table)) or f"{kind} cell" in said, kind
    reordered = {kind for kind in mesh.cells if f"the order of the {kind} cells" in said}
    for part in ("point_data", "global_data", "point_sets"):
        for field, values in getattr(mesh, part).items():
            found = getattr(read, part).get(field)
            assert (found is not None and same(values, found)) or repr(field) in said, (part, field)
    for part in ("cell_data", "cell_sets"):
        for field, by_kind in getattr(mesh, part).items():
            if repr(field) in said:
                continue
            found = getattr(read, part).get(field, {})
            for kind, values in by_kind.items():
                ours, theirs = values, found.get(kind)
                assert theirs is not None, (part, field, kind)
                assert (same(ours, theirs)) or (kind in reordered and len(ours) == len(theirs)), (part, field, kind)
            assert set(found) == set(by_kind), (part, field)
