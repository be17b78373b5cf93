"""Where the points of a mesh's skin go on the reference's skin."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from meshlearn.errors import TopologyError
from meshlearn.mesh.checks import of_mesh
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing.correspondence import corresponding_fractions
from meshlearn.models.mmgp.morphing.loop import Loop, common_tags, planar_loops
from meshlearn.models.mmgp.morphing.morph import landmark_point
from meshlearn.models.mmgp.morphing.skin import Label, Skin, skin_of, skin_tags

_EAR = 0.01

Controls = tuple[np.ndarray, np.ndarray]


def skin_controls(
    mesh: Mesh, reference: Mesh, landmarks: Sequence[str], tags: bool, by_place: bool = False
) -> Controls:
    """(k,) int64 points of a mesh, (k, dim) where they go on the reference.

    Plates: by loops, anchored at landmarks, tags and corners, in between by arc length. Solids and surfaces: each part
    of the skin with the same tags (faces, edges and corners where they meet) is scaled to the extent of its
    counterpart and projected to it. Both meshes float64, on the CPU, oriented.

    by_place  holes of a plate go to those in the same places, not to those with the same tags
    """
    if mesh.dim == 2 and mesh.cell_dim == 2:
        return _planar_controls(mesh, reference, landmarks, tags, by_place)
    names = skin_tags(mesh, reference) if tags else []
    nodes, targets = _patch_controls(skin_of(mesh, names), skin_of(reference, names), of_mesh(mesh.source))
    return _with_landmarks(mesh, reference, landmarks, nodes, targets)


def _planar_controls(mesh: Mesh, reference: Mesh, landmarks: Sequence[str], tags: bool, by_place: bool) -> Controls:
    names = common_tags(mesh, reference) if tags else []
    loops, others = planar_loops(mesh, names), planar_loops(reference, names)
    nodes, targets = [], []
    for loop, other in zip(loops, matched_loops(loops, others, not by_place), strict=True):
        fixed = []
        for name in landmarks:
            here = np.flatnonzero(loop.nodes == landmark_point(mesh, name))
            there = np.flatnonzero(other.nodes == landmark_point(reference, name))
            if len(here) and len(there):
                fixed.append((int(there[0]), int(here[0])))
        fractions = corresponding_fractions(loop, other, fixed, of_mesh(mesh.source))
        nodes.append(loop.nodes)
        targets.append(_lifted_ears(mesh, loop, other.at(fractions), outward=1 if loop is loops[0] else -1))
    return _with_landmarks(mesh, reference, landmarks, np.concatenate(nodes), np.concatenate(targets))


def _lifted_ears(mesh: Mesh, loop: Loop, targets: np.ndarray, outward: int) -> np.ndarray:
    """Tips of cells with two sides on the boundary, a little off where those sides become straight.

    Where a corner of the mesh goes to a straight piece of the reference, such a cell would have no area.
    """
    around = np.bincount(
        np.concatenate([mesh.cells[kind].numpy().reshape(-1) for kind in mesh.domain_types]), minlength=mesh.n_points
    )
    corners = np.flatnonzero(loop.corner)
    previous, tip, following = np.roll(targets[corners], 1, axis=0), targets[corners], np.roll(targets[corners], -1, 0)
    along = following - previous
    normal = outward * np.stack([along[:, 1], -along[:, 0]], axis=1)
    height = ((tip - previous) * normal).sum(1) / np.maximum((along**2).sum(1), 1e-300)
    flat = (around[loop.nodes[corners]] == 1) & (np.abs(height) < _EAR)
    lifted = targets.copy()
    lifted[corners[flat]] += ((_EAR - height)[:, None] * normal)[flat]
    return lifted


def matched_loops(loops: list[Loop], others: list[Loop], by_tags: bool = True) -> list[Loop]:
    """The counterpart of each loop: outline to outline, holes by their tags, then by the place of their centres."""
    from scipy.optimize import linear_sum_assignment

    if len(loops) < 3:
        return others
    place = [_relative(loop, loops[0]) for loop in loops[1:]]
    there = [_relative(other, others[0]) for other in others[1:]]
    cost = np.linalg.norm(np.array(place)[:, None] - np.array(there)[None], axis=2)
    for i, loop in enumerate(loops[1:]):
        for j, other in enumerate(others[1:]):
            cost[i, j] += (1e3 if by_tags else 1e-9) * float((loop.tagged.any(0) != other.tagged.any(0)).sum())
    return [others[0], *(others[1 + j] for j in linear_sum_assignment(cost)[1])]


def _relative(hole: Loop, outline: Loop) -> np.ndarray:
    low, high = outline.points.min(0), outline.points.max(0)
    return (hole.centre - low) / (high - low)


def _patch_controls(skin: Skin, other: Skin, where: str) -> Controls:
    nodes, targets = [], []
    for label, rows in skin.parts.items():
        if not other.having(label).any():
            continue  # a corner or an edge that the reference has not: its place follows from the others
        points = skin.points[skin.nodes[rows]]
        nodes.append(skin.nodes[rows].numpy())
        targets.append(other.place(label)(_aligned(points, skin, other, label))[0].numpy())
    if not nodes or sum(map(len, nodes)) < 0.5 * len(skin.nodes):
        raise TopologyError(
            f"the tags cut the skin into other parts than the reference's{where}: for more than half of its points "
            "there is no part with the same tags.\n  correct the tags, or morph without them: "
            'morphing_options={"tags": False}.'
        )
    return np.concatenate(nodes), np.concatenate(targets)


def _aligned(points: torch.Tensor, skin: Skin, other: Skin, label: Label) -> torch.Tensor:
    """Points moved and scaled along the axes as the bounding box of their part is to that of its counterpart."""
    mine = skin.points[skin.nodes[torch.from_numpy(skin.having(label))]]
    theirs = other.points[other.nodes[torch.from_numpy(other.having(label))]]
    low, high = mine.amin(0), mine.amax(0)
    low_there, high_there = theirs.amin(0), theirs.amax(0)
    size = float((skin.points.amax(0) - skin.points.amin(0)).max())
    # a flat part has no extent to scale, and one that is flat on one side only would be flattened by it
    scalable = torch.minimum(high - low, high_there - low_there) > 1e-3 * size
    scale = torch.where(scalable, (high_there - low_there) / torch.where(scalable, high - low, 1.0), 1.0)
    return (points - 0.5 * (low + high)) * scale + 0.5 * (low_there + high_there)


def _with_landmarks(
    mesh: Mesh, reference: Mesh, landmarks: Sequence[str], nodes: np.ndarray, targets: np.ndarray
) -> Controls:
    for name in landmarks:
        point, goal = landmark_point(mesh, name), reference.points[landmark_point(reference, name)].numpy()
        keep = nodes != point
        nodes, targets = np.append(nodes[keep], point), np.concatenate([targets[keep], goal[None]])
    return nodes, targets
