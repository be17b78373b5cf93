"""Morphings: maps from every mesh of a family to one common shape, chosen by topology or by name."""

from meshlearn.models.mmgp.morphing.choose import MORPHERS, admissible_morphings, make_morpher
from meshlearn.models.mmgp.morphing.elastic import ElasticMorpher
from meshlearn.models.mmgp.morphing.identity import IdentityMorpher
from meshlearn.models.mmgp.morphing.morph import Morph, Morpher
from meshlearn.models.mmgp.morphing.rbf import RadialMorpher
from meshlearn.models.mmgp.morphing.topology import Signature, check_same_topology, same_topology, signature
from meshlearn.models.mmgp.morphing.tutte import TutteMorpher

__all__ = [
    "MORPHERS",
    "ElasticMorpher",
    "IdentityMorpher",
    "Morph",
    "Morpher",
    "RadialMorpher",
    "Signature",
    "TutteMorpher",
    "admissible_morphings",
    "check_same_topology",
    "make_morpher",
    "same_topology",
    "signature",
]
