"""Meshes and fields that the tests of the room share."""

import torch

import meshlearn as ml

TRANSFERS = ("interpolate", "l2", "conservative", "kernel")


def square(n=9, **options):
    return ml.shapes.rectangle(n=(n, n), boundary=False, **options).double()


def plate(size=0.08):
    """A square with two holes, one of which nearly touches the outline."""
    return ml.shapes.plate_with_holes(holes=[(0.35, 0.4, 0.18), (0.8, 0.78, 0.14)], size=size).double()


def box(cells="tetra", n=4):
    return ml.shapes.box(n=n, cells=cells).double()


def linear(mesh):
    slopes = torch.tensor([2.0, -1.0, 0.5], dtype=mesh.dtype)[: mesh.dim]
    return 1.0 + mesh.points @ slopes


def wave(points):
    return torch.sin(3 * points[:, 0]) * torch.cos(2 * points[:, 1]) + points[:, 0] * points[:, 1]


def random_values(n, *features, seed=0):
    return torch.randn(n, *features, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def renumbered(mesh, seed=0):
    """The mesh with its points in another order, and that order."""
    order = torch.randperm(mesh.n_points, generator=torch.Generator().manual_seed(seed))
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    return ml.Mesh(mesh.points[order], {kind: place[nodes] for kind, nodes in mesh.cells.items()}), order
