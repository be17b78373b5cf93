"""Whether a mesh fills a convex domain."""

from __future__ import annotations

from meshlearn.mesh.mesh import Mesh

_TOLERANCE = 1e-3  # of the measure: small dents do not matter to a mover, and facets of curved walls are none


def is_convex(mesh: Mesh) -> bool:
    """True if the measure of a mesh of full dimension is that of its convex hull, up to a thousandth.

    >>> is_convex(ml.shapes.disc(size=0.3)), is_convex(ml.shapes.l_shape(n=2))
    (True, False)
    """
    if mesh.dim == 1:
        return mesh.topology.n_components == 1
    from scipy.spatial import ConvexHull

    points = mesh.points.detach().cpu().double().numpy()
    centred = points - points.mean(0)
    hull = ConvexHull(centred / abs(centred).max()).volume * abs(centred).max() ** mesh.dim
    return abs(float(mesh.measure())) > (1 - _TOLERANCE) * float(hull)
