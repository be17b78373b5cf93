"""Which morphing fits a set of meshes, and making one by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing.elastic import ElasticMorpher
from meshlearn.models.mmgp.morphing.identity import IdentityMorpher, same_connectivity
from meshlearn.models.mmgp.morphing.morph import Morpher
from meshlearn.models.mmgp.morphing.rbf import RadialMorpher
from meshlearn.models.mmgp.morphing.skin import skin_of, skin_tags
from meshlearn.models.mmgp.morphing.topology import check_same_topology, signature
from meshlearn.models.mmgp.morphing.tutte import TutteMorpher

MORPHERS: dict[str, type[Morpher]] = {
    morpher.name: morpher for morpher in (IdentityMorpher, TutteMorpher, RadialMorpher, ElasticMorpher)
}
"""The morphings by their names."""


def choose_morphing(meshes: Sequence[Mesh]) -> str:
    """The name of the morphing for a family of meshes.

    "identity" if all have the same cells; otherwise "tutte" for plates with one hole or none, "elastic" for solids
    whose boundary is not covered by tags that all have, and "rbf" for the rest: plates with several holes, whose loops
    can be matched, solids with tags, and surfaces in 3-D.

    Raises TopologyError, naming both topologies, if they differ; ParameterError without meshes.

    >>> choose_morphing([ml.shapes.square(n=2), ml.shapes.square(n=3)])
    'tutte'
    """
    if not len(meshes):
        raise ParameterError("there is no mesh to choose a morphing for.")
    first = meshes[0]
    if all(same_connectivity(mesh, first) for mesh in meshes):
        return "identity"
    shape = signature(first)
    for mesh in meshes:
        check_same_topology(mesh, shape)
    if shape.is_plate and shape.boundary_loops <= 2:
        return "tutte"
    if shape.cell_dim == 3 and not _tags_cover(meshes):
        return "elastic"
    return "rbf"


def _tags_cover(meshes: Sequence[Mesh]) -> bool:
    """Does every point of every boundary have one of the tags that all meshes share?"""
    shared = set.intersection(*(set(skin_tags(mesh, mesh)) for mesh in meshes))
    return bool(shared) and all(bool(skin_of(mesh, sorted(shared)).labels.any(1).all()) for mesh in meshes)


def make_morpher(name: str, reference: Mesh, landmarks: Sequence[str] | None = None, **options: Any) -> Morpher:
    """The morphing `name`, "identity", "tutte", "rbf" or "elastic", onto the common shape of `reference`.

    landmarks  names of point sets of one point each, which all meshes have: points that correspond
    options    of that morphing: see its class

    Raises ParameterError for other names and unknown options, and as the morphing itself does.

    >>> make_morpher("identity", ml.shapes.square(n=2)).common.n_points
    9
    """
    if name not in MORPHERS:
        raise ParameterError(f"morphing {name!r}: expected one of {', '.join(map(repr, MORPHERS))}.")
    morpher = MORPHERS[name]
    known = _options(morpher)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ParameterError(
            f"morphing {name!r} has no option {unknown[0]!r}; its options are: {', '.join(known) or 'none'}."
        )
    return morpher(reference, landmarks, **options)


def _options(morpher: type[Morpher]) -> list[str]:
    from inspect import signature as parameters

    return [name for name in parameters(morpher).parameters if name not in ("reference", "landmarks")]
