"""hypothesis strategies: meshes of many kinds, and rigid motions."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import torch
from hypothesis import strategies as st

from meshlearn.mesh import shapes
from meshlearn.mesh.mesh import Mesh
from meshlearn.testing.rigid import RigidMotion

PLANE = ("triangle", "quad")
SOLID = ("tetra", "hexahedron", "wedge", "pyramid")
MIXED_2D, MIXED_3D, CLOUD = "mixed", "mixed_3d", "cloud"
ALL = (*PLANE, MIXED_2D, *SOLID, MIXED_3D)


def meshes(
    cells: Sequence[str] = ALL,
    max_n: int = 4,
    dtype: torch.dtype = torch.float64,
    orders: Sequence[int] = (1,),
    fields: bool = False,
) -> st.SearchStrategy[Mesh]:
    """A valid mesh: a structured one, sheared, stretched and jittered so that no cell inverts.

    cells   kinds to draw from: "triangle", "quad", "mixed" (both) in the plane; "tetra", "hexahedron", "wedge",
            "pyramid", "mixed_3d" in space; "cloud" for a point cloud in the plane
    max_n   most cells along an edge;  orders  1 and / or 2
    fields  add a point field "f", a point vector "w", a cell field "q" (if there are cells) and a global "a"
    """
    kinds, degrees = list(cells), list(orders)

    @st.composite
    def drawn(draw):
        kind = draw(st.sampled_from(kinds))
        solid = kind in SOLID or kind == MIXED_3D
        least = 3 if kind == MIXED_3D else 2 if kind == MIXED_2D else 1
        counts = tuple(draw(st.integers(least, max(max_n, least))) for _ in range(3 if solid else 2))
        order, seed = draw(st.sampled_from(degrees)), draw(st.integers(0, 2**31 - 1))
        state = random.getstate()  # run-time type checkers draw from `random`, which hypothesis would report as a flaw
        try:
            return _make(kind, counts, order, seed, dtype, fields)
        finally:
            random.setstate(state)

    return drawn()


def _make(kind: str, counts: tuple[int, ...], order: int, seed: int, dtype: torch.dtype, fields: bool) -> Mesh:
    if len(counts) == 3:
        mesh = shapes.box(
            n=(counts[0], counts[1], counts[2]), cells="mixed" if kind == MIXED_3D else kind, order=order, dtype=dtype
        )
    else:
        mesh = shapes.rectangle(
            n=(counts[0], counts[1]), cells="triangle" if kind == CLOUD else kind, order=order, dtype=dtype
        )
    mesh = mesh.replace(points=_deform(mesh.points, counts, seed))
    if kind == CLOUD:
        mesh = Mesh(mesh.points)
    return _with_fields(mesh, seed) if fields else mesh


@st.composite
def rigid_motions(
    draw: Callable[..., Any], dim: int = 3, dtype: torch.dtype = torch.float64, shift: float = 10.0
) -> RigidMotion:
    """A proper rotation of 2 or 3 dimensions about a random axis, and a shift of at most `shift` per coordinate."""
    angle = draw(st.floats(-math.pi, math.pi))
    c, s = math.cos(angle), math.sin(angle)
    moved = torch.tensor([draw(st.floats(-shift, shift)) for _ in range(dim)], dtype=dtype)
    if dim == 2:
        return RigidMotion(torch.tensor([[c, -s], [s, c]], dtype=dtype), moved)
    polar, around = draw(st.floats(0.0, math.pi)), draw(st.floats(-math.pi, math.pi))
    x, y, z = math.sin(polar) * math.cos(around), math.sin(polar) * math.sin(around), math.cos(polar)
    cross = torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]], dtype=torch.float64)
    rotation = torch.eye(3, dtype=torch.float64) + s * cross + (1 - c) * (cross @ cross)
    return RigidMotion(rotation.to(dtype), moved)


def _deform(points: torch.Tensor, counts: tuple[int, ...], seed: int) -> torch.Tensor:
    """A random linear map with positive determinant, after moving points by a tenth of a cell (smoothly)."""
    generator = torch.Generator().manual_seed(seed)
    dim = points.shape[1]
    wave = torch.rand(dim, dim, generator=generator, dtype=points.dtype) * 2.0
    points = points + 0.1 / max(counts) * torch.sin(points @ wave.T * 3.0)
    shear = torch.eye(dim, dtype=points.dtype) + 0.3 * torch.rand(dim, dim, generator=generator, dtype=points.dtype)
    stretch = 0.5 + 2.0 * torch.rand(dim, generator=generator, dtype=points.dtype)
    return (points @ shear.T) * stretch


def _with_fields(mesh: Mesh, seed: int) -> Mesh:
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=mesh.dtype)

    mesh = mesh.with_point_data(f=noise(mesh.n_points), w=noise(mesh.n_points, mesh.dim))
    if mesh.n_cells:
        mesh = mesh.with_cell_data(q=noise(mesh.n_cells))
    return mesh.with_global_data(a=noise(1)[0])
