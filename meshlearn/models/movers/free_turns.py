"""Rigid motions that leave a round domain where it is: the functional does not say how far to turn."""

from __future__ import annotations

import numpy as np

from meshlearn.models.movers.walls import Walls

_ALLOWED = 0.1  # part of a rigid motion of the boundary that walls may stop, for it to count as free


def free_turns(walls: Walls) -> np.ndarray:
    """(k, c) orthonormal: rigid motions that the walls allow almost, as of a disc, a ring or a faceted cylinder."""
    centred = walls.points - walls.points.mean(0)
    size, dim, n = float(np.abs(centred).max()), walls.dim, walls.n
    motions = [np.broadcast_to(row, centred.shape).reshape(-1) for row in size * np.eye(dim)]
    for i in range(dim):
        for j in range(i):
            turn = np.zeros_like(centred)
            turn[:, i], turn[:, j] = -centred[:, j], centred[:, i]
            motions.append(turn.reshape(-1))
    moves = np.stack(motions, 1)
    held = np.zeros(n)  # what counts is the boundary; one pinned point is enough to stop a motion
    held[walls.sliding], held[walls.pinned] = 1.0, np.sqrt(n)
    weight = held.repeat(dim)[:, None]
    across = np.linalg.qr(weight * moves)[1]
    if not np.abs(np.diag(across)).min() > 1e-9 * np.abs(across).max():
        return np.zeros((walls.basis.shape[1], 0))
    moves = np.linalg.solve(across.T, moves.T).T
    stopped = weight * (moves - walls.basis @ (walls.basis.T @ moves))
    _, lost, rows = np.linalg.svd(stopped, full_matrices=False)
    chosen = walls.basis.T @ moves @ rows[lost < _ALLOWED].T
    return np.linalg.qr(chosen)[0] if chosen.shape[1] else chosen
