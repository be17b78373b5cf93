"""Which morphings may do for a set of meshes, and making one by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meshlearn.errors import ParameterError, TopologyError
from meshlearn.mesh.mesh import Mesh
from meshlearn.models.mmgp.morphing.elastic import ElasticMorpher
from meshlearn.models.mmgp.morphing.identity import IdentityMorpher, same_connectivity
from meshlearn.models.mmgp.morphing.morph import Morpher, plain
from meshlearn.models.mmgp.morphing.rbf import RadialMorpher
from meshlearn.models.mmgp.morphing.renumbering import renumbering, same_counts
from meshlearn.models.mmgp.morphing.topology import check_same_topology, signature
from meshlearn.models.mmgp.morphing.tutte import TutteMorpher

MORPHERS: dict[str, type[Morpher]] = {
    morpher.name: morpher for morpher in (IdentityMorpher, TutteMorpher, RadialMorpher, ElasticMorpher)
}
"""The morphings by their names."""


def admissible_morphings(
    meshes: Sequence[Mesh], options: Mapping[str, Any] = {}, names: Sequence[str] | None = None
) -> tuple[str, ...]:
    """The names of the morphings that may do for a family of meshes, likeliest first.

    "identity" first if all have the same cells; then, for plates with one hole or none, "tutte", "rbf" and "elastic";
    for other plates and for solids "rbf" and "elastic"; for surfaces in 3-D and curves "rbf".

    options  only morphings that know all of these
    names    of the meshes, for messages

    Raises TopologyError, naming both topologies, if they differ; ParameterError without meshes, and if no morphing
    that may do knows the options.

    >>> admissible_morphings([ml.shapes.square(n=2), ml.shapes.square(n=3)])
    ('tutte', 'rbf', 'elastic')
    """
    if not len(meshes):
        raise ParameterError("there is no mesh to choose a morphing for.")
    first = plain(meshes[0])
    shape = signature(first)
    for k, mesh in enumerate(meshes):
        if same_connectivity(mesh, first):
            continue
        try:
            check_same_topology(mesh, shape)
        except TopologyError as error:
            raise TopologyError(f"{names[k]} and {names[0]}: {error}" if names else str(error)) from error
    found = ["identity"] if _same_cells(meshes, first) else []
    if shape.is_plate:
        found += ["tutte"] * (shape.boundary_loops <= 2) + ["rbf", "elastic"]
    else:
        found += ["rbf"] + ["elastic"] * (shape.cell_dim == shape.dim)
    knowing = tuple(name for name in found if set(options) <= set(_options(MORPHERS[name])))
    if not knowing:
        raise ParameterError(
            f"no morphing for these meshes has the options {', '.join(options)}:\n  "
            + "\n  ".join(f"{name}: {', '.join(_options(MORPHERS[name])) or 'none'}" for name in found)
        )
    return knowing


def _same_cells(meshes: Sequence[Mesh], first: Mesh) -> bool:
    """Do all have the same cells? Of those that are numbered otherwise, only a few are compared here."""
    others = [mesh for mesh in meshes if not same_connectivity(mesh, first)]
    if not all(same_counts(mesh, first) for mesh in others):
        return False
    return all(renumbering(plain(mesh), first) is not None for mesh in others[:: max(1, len(others) // 3)])


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
