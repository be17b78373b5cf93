"""Small fields, and movers without training, for tests of learned movers."""

import torch

import meshlearn as ml

DOMAINS = {
    "interval": lambda: ml.shapes.interval(n=12),
    "square": lambda: ml.shapes.square(n=8),
    "l_shape": lambda: ml.shapes.l_shape(n=4),
    "annulus": lambda: ml.shapes.annulus(size=0.3),
    "box": lambda: ml.shapes.box(n=3),
}


def with_field(mesh: ml.Mesh, seed: int) -> ml.Mesh:
    """The mesh with a sum of one to four Gaussians around points of the mesh as the point field "u"."""
    generator = torch.Generator().manual_seed(seed)
    x, size = mesh.points.double(), float(mesh.measure()) ** (1 / mesh.dim)
    u = torch.zeros(mesh.n_points, dtype=torch.float64)
    for _ in range(int(torch.randint(1, 5, (1,), generator=generator))):
        centre = x[int(torch.randint(mesh.n_points, (1,), generator=generator))]
        width = (0.08 + 0.12 * float(torch.rand(1, generator=generator))) * size
        height = float(torch.randn(1, generator=generator))
        u = u + height * torch.exp(-(x - centre).square().sum(1) / (2 * width**2))
    return mesh.with_point_data(u=u.to(mesh.dtype))


def fitted(meshes, epochs=1, **options) -> ml.DataFreeMeshMover:
    options = {"rounds": 2, "hidden": 8, **options}
    return ml.DataFreeMeshMover(**options).fit(meshes, epochs=epochs, progress=False)


def wild(model: ml.DataFreeMeshMover, spread: float) -> ml.DataFreeMeshMover:
    """The mover with random weights: its own map tangles."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.module_.parameters():
            parameter.copy_(spread * torch.randn(parameter.shape, generator=generator))
    return model
