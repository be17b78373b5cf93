"""Connected components of a graph given by its edges."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor


def connected_components(a: Int[Tensor, " n"], b: Int[Tensor, " n"], n_nodes: int) -> tuple[int, Int[Tensor, " m"]]:
    """(number of components, (n_nodes,) component of every node), numbered by their lowest node.

    Runs on the CPU (scipy) wherever the edges live; labels come back to their device.

    >>> from meshlearn.mesh.components import connected_components
    >>> connected_components(torch.tensor([0, 3]), torch.tensor([2, 1]), 4)
    (2, tensor([0, 1, 0, 1]))
    """
    from scipy.sparse import coo_matrix, csgraph

    data = np.ones(len(a), dtype=np.int8)
    matrix = coo_matrix((data, (a.cpu().numpy(), b.cpu().numpy())), shape=(n_nodes, n_nodes))
    count, labels = csgraph.connected_components(matrix, directed=False)
    return int(count), torch.from_numpy(labels.astype(np.int64)).to(a.device)
