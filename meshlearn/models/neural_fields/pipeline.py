"""The networks of `Enf2Enf`, from its arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from meshlearn.errors import FieldError, ParameterError
from meshlearn.models.neural_fields.arguments import (
    check_group,
    check_latents,
    check_modulated,
    check_network,
    one_of,
)
from meshlearn.models.neural_fields.decoder import Decoder
from meshlearn.models.neural_fields.field import EquivariantNeuralField
from meshlearn.models.neural_fields.film import FilmField
from meshlearn.models.neural_fields.geometry import DEFORMATION, NAME
from meshlearn.models.neural_fields.modulated import ModulatedField
from meshlearn.models.neural_fields.network import AttentionField
from meshlearn.train import option_checks as check
from meshlearn.train.field_network import check_loss
from meshlearn.train.fields import FieldSet


def shape_names(geometry: Any) -> tuple[str, ...]:
    """The names of the fields of the shape; raises ParameterError for what are none."""
    names = (geometry,) if isinstance(geometry, str) else geometry
    good = isinstance(names, Sequence) and len(names) > 0 and all(isinstance(name, str) and name for name in names)
    check.require(good, "geometry", geometry, "'signed_distance', 'deformation', or a list of names of point fields")
    if DEFORMATION in names and len(names) > 1:
        raise ParameterError(f"geometry={geometry!r}: 'deformation' stands alone, without other fields.")
    return tuple(names)


def check_pipeline(model: Any) -> None:
    """Raise ParameterError for arguments of `Enf2Enf` that cannot be; those that need meshes are checked later."""
    names, outputs = shape_names(model.geometry), model.outputs
    hidden = [name for name in names if isinstance(outputs, (list, tuple)) and name in outputs]
    if hidden:
        raise ParameterError(
            f"geometry={model.geometry!r}: {hidden} are outputs too, and outputs are hidden from the model that "
            "predicts them.\n  Name other fields of the shape, or give that one another name on the meshes."
        )
    sets = model.boundary_sets
    good = isinstance(sets, Sequence) and not isinstance(sets, str) and all(isinstance(name, str) for name in sets)
    check.require(good, "boundary_sets", sets, "a list of names of sets, such as ['hole_*']")
    one_of("backbone", model.backbone, ("attention", "film"))
    if model.backbone == "film" and model.group != "Rn":
        raise ParameterError(
            f"group={model.group!r} is of backbone='attention': modulated networks commute with translations only. "
            "Leave group out with backbone='film'."
        )
    one_of("training", model.training, ("two-stage", "joint"))
    check_loss(model.loss)
    check.whole(0)("blocks", model.blocks)
    check.whole(1, True)("encoder_epochs", model.encoder_epochs)
    check.number("a share strictly between 0 and 1", lambda x: 0 < x < 1)("encoder_share", model.encoder_share)
    check_network("", model.hidden, model.heads, model.frequencies, model.nearest)
    check_network("encoder_", model.encoder_hidden, model.heads, model.frequencies, model.nearest)
    check_modulated("", model.hidden, model.layers, model.frequencies[0])


def make_encoder(model: Any) -> Any:
    """The unfitted field of the shape."""
    shared = {"inner_steps": model.inner_steps, "meta": model.meta, "points_per_step": model.points_per_step}
    if model.backbone == "film":
        size = check.whole(1)("n_latents", model.n_latents) * check.whole(1)("latent_dim", model.latent_dim)
        encoder: Any = ModulatedField(
            [NAME], size, model.encoder_hidden, frequency=float(model.frequencies[0]), **shared
        )
    else:
        encoder = EquivariantNeuralField(
            [NAME],
            group=model.group,
            period=model.period,
            n_latents=model.n_latents,
            latent_dim=model.latent_dim,
            hidden=model.encoder_hidden,
            heads=model.heads,
            frequencies=model.frequencies,
            nearest=model.nearest,
            placement=model.placement,
            **shared,
        )
    check_latents(encoder)
    return encoder


class Pipeline(nn.Module):
    """The decoder, and the encoder where it is trained on."""

    def __init__(self, decoder: Decoder, encoder: nn.Module | None) -> None:
        super().__init__()
        self.decoder, self.encoder = decoder, encoder


def build_pipeline(model: Any, fields: FieldSet, encoder: Any) -> Pipeline:
    """The networks for these fields and this encoder."""
    check_group(model.group, fields.dim, model.period, ())
    on_cells = [spec.name for spec in fields.at("outputs", "cell")]
    if on_cells:
        raise FieldError(
            f"Enf2Enf decodes fields at points and values of whole meshes; {on_cells} live on cells.\n"
            "  Average them to the points, or train ml.MeshGraphNet."
        )
    import copy

    sizes = model.normalizers_.sizes["features"]
    extra, code = sizes["point_inputs"], encoder.latent_dim + sizes["global_inputs"]
    n_point, n_global = (fields.width("outputs", place) for place in ("point", "global"))
    if model.backbone == "film":
        field: nn.Module = FilmField(
            fields.dim, code, max(n_point, 1), model.hidden, model.layers, float(model.frequencies[0]), extra
        )
    else:
        frequencies = (float(model.frequencies[0]), float(model.frequencies[1]))
        field = AttentionField(
            encoder.make_group(fields.dim, encoder.length_),
            code,
            max(n_point, 1),
            model.hidden,
            model.heads,
            frequencies,
            model.nearest,
            extra,
            model.blocks,
        )
    spacing = math.log(2.0 / encoder.n_latents ** (1 / fields.dim))
    decoder = Decoder(field, spacing, model.hidden, n_point, n_global)
    return Pipeline(decoder, copy.deepcopy(encoder.module_) if model.training == "joint" else None)
