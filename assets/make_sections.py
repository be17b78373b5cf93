"""Makes the section files of this folder: `python assets/make_sections.py`. Same files every time; lengths in mm.

vessel.csl  a branching vessel, 28 parallel planes
bone.csl    a bone-like solid with a marrow cavity, 18 planes across and 4 along
organs.csl  an organ (1) around another (2), 16 parallel planes, the first and last without contours
"""

from pathlib import Path

import numpy as np

import meshlearn as ml
from meshlearn.io.sections import parallel_planes
from meshlearn.models.cross_sections.marching import marching_cubes

FOLDER = Path(__file__).resolve().parent


def ball(p, centre, radius):
    return radius - np.linalg.norm(p - np.array(centre, float), axis=1)


def rod(p, a, b, ra, rb):
    """A rod with round ends whose radius goes from ra to rb."""
    a, along = np.array(a, float), np.array(b, float) - np.array(a, float)
    t = np.clip((p - a) @ along / (along @ along), 0.0, 1.0)
    return ra + t * (rb - ra) - np.linalg.norm(p - a - t[:, None] * along, axis=1)


def soft_union(parts, width):
    """The union of bodies, rounded where they meet."""
    top = np.max(parts, axis=0)
    return top + width * np.log(np.sum([np.exp((part - top) / width) for part in parts], axis=0))


def vessel(p):
    trunk = [rod(p, (0, 0, -30), (0, 0, -5), 5.0, 4.2)]
    arms = [rod(p, (0, 0, -5), (s * 10, 3 * s, 12), 4.0, 3.2) for s in (1, -1)]
    twigs = [
        rod(p, (s * 10, 3 * s, 12), (s * (10 + 6 * k), s * 3 + 7 * k, 30), 3.0, 2.4) for s in (1, -1) for k in (1, -1)
    ]
    return soft_union([*trunk, *arms, *twigs], 0.5)


def bone(p):
    heads = [ball(p, (s * 7, y, 30 * e), 11) for s, y, e in ((1, 0, 1), (-1, 2, 1), (1, 3, -1), (-1, 0, -1))]
    solid = soft_union([rod(p, (0, 0, -28), (0, 0, 28), 9, 9), *heads], 1.5)
    return np.minimum(solid, -rod(p, (0, 0, -20), (0, 0, 20), 5, 4.5))


def organ(p):
    return soft_union([ball(p, (-8, 0, 0), 22), ball(p, (16, 4, 3), 15), ball(p, (0, 14, -6), 12)], 2.0)


def inner(p):
    return soft_union([ball(p, (-10, 0, 1), 9), ball(p, (0, 3, 3), 7)], 1.0)


def surface(body, half, n=64):
    """The closed surface of a body within [-half, half] ** 3."""
    x = np.linspace(-half, half, n)
    p = np.stack(np.meshgrid(x, x, x, indexing="ij"), axis=-1).reshape(-1, 3)
    points, triangles = marching_cubes(body(p).reshape(n, n, n))
    return ml.Mesh(2 * half * points / (n - 1) - half, {"triangle": triangles})


def main():
    tube = surface(vessel, 36)
    ml.CrossSections.from_mesh(tube, parallel_planes(tube, 28)).write(FOLDER / "vessel.csl")

    solid = surface(bone, 44)
    planes = parallel_planes(solid, 18) + [((0, 0, 0), (np.cos(a), np.sin(a), 0)) for a in np.pi * np.arange(4) / 4]
    ml.CrossSections.from_mesh(solid, planes).write(FOLDER / "bone.csl")

    outer, core = surface(organ, 34), surface(inner, 34)
    planes = [((0, 0, z), (0, 0, 1)) for z in np.linspace(-26, 26, 16)]
    around, within = (ml.CrossSections.from_mesh(mesh, planes) for mesh in (outer, core))
    contours = []
    for a, b in zip(around, within, strict=True):
        core_rings = [b.lift(ring.points) for ring in b.rings]
        contours.append({1: [a.lift(ring.points) for ring in a.rings] + core_rings, 2: core_rings})
    ml.CrossSections.from_contours(contours, planes).write(FOLDER / "organs.csl")


if __name__ == "__main__":
    main()
