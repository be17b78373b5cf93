"""The skin of a solid, or a surface in space, cut along its sharp edges, its rim and the ends of its tags into faces.

Faces are bounded by curves, curves end in corners: what two shapes of one family have in common where no tag says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from meshlearn.mesh.cells import cell_type
from meshlearn.mesh.components import connected_components
from meshlearn.mesh.facets import unique_facets
from meshlearn.models.mmgp.morphing.corners import turns_sharply
from meshlearn.models.mmgp.morphing.skin import Label, Skin
from meshlearn.ops import gather

NO_FACE = -1
MOST_FACES = 256


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve between faces: k points in a row, the first not repeated where it is closed.

    nodes     (k,) int64 point numbers
    placed    (k, dim) normalised positions
    closed    has it no corner?
    faces     numbers of the faces on its two sides, ascending; -1 for none
    tags      of its edges
    """

    nodes: np.ndarray
    placed: np.ndarray
    closed: bool
    faces: tuple[int, int]
    tags: Label

    @cached_property
    def steps(self) -> np.ndarray:
        """(k, dim) from each point to the next, and from the last to the first; (k - 1, dim) for an open one."""
        along = np.roll(self.placed, -1, axis=0) - self.placed
        return along if self.closed else along[:-1]

    @cached_property
    def fraction(self) -> np.ndarray:
        """(k,) arc length from the first point over that of the curve: up to 1 for an open one, below for a closed."""
        along = np.append(0.0, np.cumsum(np.linalg.norm(self.steps, axis=1)))
        return (along[:-1] if self.closed else along) / along[-1]

    def reversed(self) -> Curve:
        """The same curve the other way round."""
        return replace(self, nodes=self.nodes[::-1], placed=self.placed[::-1])

    def turned(self, rotation: np.ndarray) -> Curve:
        """The same curve with its positions multiplied by (dim, dim) from the right."""
        return replace(self, placed=self.placed @ rotation)

    def ends(self) -> tuple[int, int]:
        """Numbers of the first and the last point of an open curve."""
        return int(self.nodes[0]), int(self.nodes[-1])


@dataclass(frozen=True, eq=False)
class Face:
    """A piece of the skin: its facets {type: (n, k)}, its points, those inside of it, its tags.

    form  (3 dim + 1,) numbers that tell it from others: normalised centre, spread, mean normal, bulge (outward or in)
    """

    facets: dict[str, Tensor]
    nodes: np.ndarray
    inside: np.ndarray
    tags: Label
    form: np.ndarray

    @property
    def centre(self) -> np.ndarray:
        """(dim,) its normalised centre."""
        return self.form[:3]


@dataclass(frozen=True, eq=False)
class CutSkin:
    """Faces, curves and corners (point numbers, ascending) of a skin, and normalised positions of all points."""

    skin: Skin
    placed: np.ndarray
    faces: list[Face]
    curves: list[Curve]
    corners: np.ndarray

    def __str__(self) -> str:
        return f"{len(self.faces)} faces, {len(self.curves)} edges and {len(self.corners)} corners"


def cut_skin(skin: Skin, placed: np.ndarray, angle: float, kinks: float = 1.0) -> CutSkin | None:
    """Cut a skin of two-dimensional facets, oriented alike, where it bends by more than an angle (radians) at an edge.

    None for more than 256 faces: that is a rough surface, not a machine part.

    placed  (n_points, dim) normalised positions of all points of the mesh
    kinks   rims, and ends of tags on smooth faces, have corners where they bend, if they bend so often; infinite for
            none. Corners of sharp edges are where more than two faces meet
    """
    facet_tags = _tags(skin.facets, [extent.facets for extent in skin.extents])
    cuts, face = _cut_edges(skin, facet_tags, angle)
    if int(face.max()) >= MOST_FACES:
        return None
    ends, sides, tags, smooth = (torch.cat([cut[k] for cut in cuts]).numpy() for k in range(4))
    curves, corners = _curves(ends, sides, tags, smooth, placed, kinks)
    on_edge = np.zeros(len(placed), dtype=bool)
    on_edge[ends.reshape(-1)] = True
    vectors, centres = _area_vectors(torch.from_numpy(placed), skin.facets)
    faces = []
    for number in range(int(face.max()) + 1):
        mine = face == number
        facets = _chosen(skin.facets, mine)
        nodes = np.unique(np.concatenate([n.reshape(-1).numpy() for n in facets.values()]))
        label = tuple(bool(b) for b in facet_tags[mine][0])
        form = _form(vectors[mine].numpy(), centres[mine].numpy())
        faces.append(Face(facets, nodes, nodes[~on_edge[nodes]], label, form))
    return CutSkin(skin, placed, faces, curves, corners)


def _cut_edges(skin: Skin, facet_tags: Tensor, angle: float) -> tuple[list[tuple[Tensor, ...]], Tensor]:
    """([(ends (s, 2), faces on both sides (s, 2), tags (s, n), not sharp (s,)) of cut edges], face of every facet).

    Edges with a point inside are two pieces each.
    """
    normals = torch.nn.functional.normalize(_area_vectors(skin.points, skin.facets)[0], dim=1)
    cuts, joined = [], []
    for kind, block in unique_facets(skin.facets, list(skin.facets), len(skin.points)).items():
        first, inner = block.cells[:, 0], block.count == 2
        second = torch.where(inner, block.cells[:, 1], first)
        tags = _tags({kind: block.nodes}, [extent.edges for extent in skin.extents])
        mine, other = facet_tags[first], facet_tags[second]
        bend = (gather(normals, first) * gather(normals, second)).sum(1) < np.cos(angle)
        cut = bend | ~inner | (mine != other).any(1) | (tags & ~mine & ~other).any(1)
        joined.append(torch.stack([first, second], 1)[~cut])
        sides = torch.stack([first, torch.where(inner, second, NO_FACE)], 1)[cut]
        nodes, tags, smooth = block.nodes[cut], tags[cut], ~bend[cut]
        pieces = [nodes] if nodes.shape[1] == 2 else [nodes[:, [0, 2]], nodes[:, [2, 1]]]
        cuts += [(piece, sides, tags, smooth) for piece in pieces]
    pairs = torch.cat(joined)
    _, face = connected_components(pairs[:, 0], pairs[:, 1], len(normals))
    numbers = [torch.where(cut[1] < 0, NO_FACE, face[cut[1].clamp(min=0)]).sort(1).values for cut in cuts]
    return [(cut[0], number, *cut[2:]) for cut, number in zip(cuts, numbers, strict=True)], face


def _tags(elements: dict[str, Tensor], tagged: list[dict[str, Tensor]]) -> Tensor:
    """(n, n_tags) bool of elements, type after type."""
    n = sum(map(len, elements.values()))
    columns = [torch.cat([tag[kind] for kind in elements]) for tag in tagged]
    return torch.stack(columns, 1) if columns else torch.zeros(n, 0, dtype=torch.bool)


def _area_vectors(points: Tensor, facets: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(area times normal (n, 3), centre (n, 3)) of facets by their corners, type after type."""
    vectors, centres = [], []
    for kind, nodes in facets.items():
        x = gather(points, nodes[:, : cell_type(kind).corners])
        sides = (x[:, 2] - x[:, 0], x[:, 3] - x[:, 1]) if x.shape[1] == 4 else (x[:, 1] - x[:, 0], x[:, 2] - x[:, 0])
        vectors.append(0.5 * torch.linalg.cross(*sides))
        centres.append(x.mean(1))
    return torch.cat(vectors), torch.cat(centres)


def _chosen(facets: dict[str, Tensor], mine: Tensor) -> dict[str, Tensor]:
    found, first = {}, 0
    for kind, nodes in facets.items():
        found[kind] = nodes[mine[first : first + len(nodes)]]
        first += len(nodes)
    return {kind: nodes for kind, nodes in found.items() if len(nodes)}


def _form(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    areas = np.linalg.norm(vectors, axis=1)
    share = areas / areas.sum()
    middle = share @ centres
    away = centres - middle
    spread = np.sqrt(share @ away**2)
    bulge = (vectors * away).sum() / areas.sum()
    return np.concatenate([middle, spread, 0.5 * vectors.sum(0) / areas.sum(), [bulge]])


def _curves(
    ends: np.ndarray, sides: np.ndarray, tags: np.ndarray, bends: np.ndarray, placed: np.ndarray, kinks: float
) -> tuple[list[Curve], np.ndarray]:
    """Segments strung together between corners: where other than two meet, faces or tags change, or a curve bends.

    bends  (s,) bool: of the segments whose bends are corners
    kinks  a string of segments that bends less often has none of these
    """
    if not len(ends):
        return [], np.zeros(0, dtype=np.int64)
    kinds = np.unique(np.concatenate([sides, tags], axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    nodes = np.unique(ends)
    order = np.argsort(ends.reshape(-1), kind="stable")
    first = np.searchsorted(ends.reshape(-1)[order], nodes)
    two = np.bincount(ends.reshape(-1), minlength=len(placed))[nodes] == 2
    a, b = order[first], order[np.minimum(first + 1, len(order) - 1)]  # half segments at nodes where two meet
    smooth = two & (kinds[a // 2] == kinds[b // 2])
    before, after = (ends.reshape(-1)[half ^ 1] for half in (a, b))
    back, ahead = placed[nodes] - placed[before], placed[after] - placed[nodes]
    size = np.linalg.norm(back, axis=1) * np.linalg.norm(ahead, axis=1)
    turn = np.arccos(np.clip((back * ahead).sum(1) / np.maximum(size, 1e-300), -1, 1)) * smooth
    at = np.zeros(len(placed))
    at[nodes] = turn
    kink = smooth & turns_sharply(turn, np.maximum(at[before], at[after])) & bends[a // 2]
    _, string = _chains(a, b, smooth, len(ends))
    often = np.bincount(string[a[kink] // 2], minlength=len(ends))[string[a // 2]] >= kinks
    smooth &= ~(kink & often)
    corners = nodes[~smooth]
    count, chain = _chains(a, b, smooth, len(ends))
    curves = []
    for k in range(count):
        mine = np.flatnonzero(chain == k)
        points, closed = _strung(ends[mine], corners)
        label = tuple(bool(t) for t in tags[mine[0]])
        curves.append(Curve(points, placed[points], closed, (int(sides[mine[0], 0]), int(sides[mine[0], 1])), label))
    return curves, corners


def _chains(a: np.ndarray, b: np.ndarray, smooth: np.ndarray, n: int) -> tuple[int, np.ndarray]:
    """(number of strings, string (n,) of every segment) where half segments a and b are joined at smooth nodes."""
    joined = torch.from_numpy(np.stack([a, b], 1)[smooth] // 2)
    count, chain = connected_components(joined[:, 0], joined[:, 1], n)
    return count, chain.numpy()


def _strung(ends: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, bool]:
    """(points of one curve in a row, is it closed?), from its segments in any order."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import depth_first_order

    at = np.isin(ends, corners)
    closed = not at.any()
    names, local = np.unique(ends, return_inverse=True)
    local = local.reshape(ends.shape)
    if not closed and len(corners_here := np.unique(local[at])) == 1 and at.sum() == 2:
        # from a corner back to it: its second end gets a number of its own
        row = np.flatnonzero(at.any(1))[-1]
        local[row, at[row]] = len(names)
        names = np.append(names, names[corners_here])
    n = len(names)
    start = 0 if closed else int(local[at].min())
    used = np.ones(len(local), dtype=bool)
    if closed:
        used[np.flatnonzero((local == start).any(1))[0]] = False
    graph = coo_matrix((np.ones(used.sum()), local[used].T), shape=(n, n))
    order = depth_first_order(graph.tocsr(), start, directed=False, return_predecessors=False)
    return names[order], closed
