"""Bodies to cut: closed surfaces from formulas, extracted by marching cubes."""

import numpy as np

import meshlearn as ml
from meshlearn.models.cross_sections.marching import marching_cubes


def ball(p, centre, radius):
    return radius - np.linalg.norm(p - np.array(centre), axis=1)


def capsule(p, a, b, radius):
    a, d = np.array(a, float), np.array(b, float) - np.array(a, float)
    t = np.clip((p - a) @ d / (d @ d), 0, 1)
    return radius - np.linalg.norm(p - a - t[:, None] * d, axis=1)


def shell(p):
    """A ball with a cavity, in which a smaller ball floats."""
    return np.maximum(np.minimum(ball(p, (0, 0, 0), 0.9), -ball(p, (0, 0, 0), 0.6)), ball(p, (0, 0, 0), 0.3))


def peanut(p):
    return np.maximum(ball(p, (0, 0, -0.4), 0.5), ball(p, (0.1, 0, 0.4), 0.45))


def ring(p):
    return 0.25 - np.hypot(np.hypot(p[:, 0], p[:, 2]) - 0.6, p[:, 1])


def fork(p):
    legs = [capsule(p, (0, 0, 0), (s * 0.5, 0.1 * s, 0.85), 0.1) for s in (1, -1)]
    return np.max([capsule(p, (0, 0, -0.9), (0, 0, 0), 0.13), *legs], axis=0)


def grid(n, half=1.05):
    x = np.linspace(-half, half, n)
    return np.stack(np.meshgrid(x, x, x, indexing="ij"), axis=-1).reshape(-1, 3)


def surface_of(body, n=72, half=1.05):
    values = body(grid(n, half)).reshape(n, n, n)
    points, triangles = marching_cubes(values)
    return ml.Mesh(2 * half * points / (n - 1) - half, {"triangle": triangles})


def iou(model, body, n=44):
    """Intersection over union with a body, on a grid."""
    points = grid(n)
    found, truth = model.predict(points).numpy() > 0, body(points) > 0
    return (found & truth).sum() / (found | truth).sum()
