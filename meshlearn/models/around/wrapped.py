"""`WrappedEstimator`: a network estimator around another one, whose network and samples it uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from meshlearn.errors import ParameterError
from meshlearn.mesh.mesh import Mesh
from meshlearn.train.fields import FieldSet, FieldSpec
from meshlearn.train.network import NetworkEstimator
from meshlearn.train.params import json_params
from meshlearn.train.registry import find_estimator
from meshlearn.train.sample import Sample, collate
from meshlearn.train.writer import writer_of

S = TypeVar("S", bound="WrappedSample")


@dataclass(frozen=True)
class WrappedSample(Sample):
    """The sample of the model inside, and what its writer needs besides.

    inner     sample of the model inside
    carriers  see `meshlearn.train.writer`
    """

    inner: Any = field(kw_only=True)
    carriers: dict[str, Any] = field(kw_only=True)

    @property
    def cost(self) -> tuple[int, int]:
        """That of the sample inside."""
        return self.inner.cost

    def rows(self, location: str) -> int:
        """Number of rows of `location` in the batch."""
        return self.inner.rows(location)

    def feature_tensors(self) -> dict[str, Tensor]:
        """Those of the sample inside."""
        return self.inner.feature_tensors()

    def with_feature_tensors(self: S, features: dict[str, Tensor]) -> S:
        """A copy with these features in the place of the old ones."""
        return self.replace(inner=self.inner.with_feature_tensors(features))


class WrappedEstimator(NetworkEstimator):
    """Base of estimators around another network estimator, `model`, which is not fitted itself.

    A subclass adds input fields (`more_inputs`), of which the network is told by a writer (`meshlearn.train.writer`),
    and says how the network is used (`network`, `sample_losses`). What is learned is what `model` learns: its targets,
    normalisers, optimiser.

    After `fit`: `inner_`, the estimator that knows the network: a copy of `model` with the additional inputs.
    """

    model: Any
    inner_: NetworkEstimator

    @property
    def inputs(self) -> Any:
        """Those of the model inside."""
        return self.template.inputs

    @property
    def outputs(self) -> Any:
        """Those of the model inside."""
        return self.template.outputs

    @property
    def template(self) -> NetworkEstimator:
        """The model inside, as it was given; ParameterError for anything but a network, and for streams."""
        if not isinstance(self.model, NetworkEstimator) or isinstance(self.model, WrappedEstimator):
            raise ParameterError(
                f"model={self.model!r:.80}: a network such as ml.GridOperator(...) or ml.MeshGraphNet(...) is expected"
                ", not fitted, and not one that is around another one."
            )
        streams = getattr(self.model, "streams", 1)
        if streams != 1:
            raise ParameterError(
                f"streams={streams!r} of the model inside: streams in time belong to its own fit and rollout, and "
                f"{type(self).__name__} has others.\n  Leave them at 1, and give trajectories in the steps that are "
                "wanted, trajectory[::n]."
            )
        return self.model

    def more_inputs(self, fields: FieldSet) -> tuple[FieldSpec, ...]:
        """Input fields that the network gets besides its own. Default: none."""
        return ()

    def inner_params(self, template: NetworkEstimator) -> dict[str, Any]:
        """Arguments of the model inside that are others than those given. Default: none."""
        return {}

    @property
    def inner(self) -> NetworkEstimator:
        """The model that knows the network, made when it is first needed."""
        made = self.__dict__.get("inner_")
        if made is None:
            template, fields, more = self.template, self.fields_, self.more_inputs(self.fields_)
            params = {**template.get_params(), **self.inner_params(template)}
            params["inputs"] = [*params["inputs"], *(spec.name for spec in more)]
            made = self.inner_ = type(template)(**params)
            made.fields_ = FieldSet((*fields.inputs, *more), fields.outputs, fields.dim)
        if "normalizers_" in self.__dict__:
            made.normalizers_ = self.normalizers_
        return made

    @property
    def writer(self) -> Any:
        """What writes inputs of the network anew."""
        return writer_of(self.inner)

    # -- as the model inside does ----------------------------------------------------------------------------------

    def build(self, fields: FieldSet) -> nn.Module:
        """The network of the model inside."""
        self.check()
        return self.inner.build(self.inner.fields_)

    def check(self) -> None:
        """Raise ParameterError for arguments that cannot be. Default: nothing to check."""

    def settle(self) -> None:
        """As the model inside does."""
        self.inner.settle()

    def check_sets(self, names: set[str]) -> None:
        """As the model inside does."""
        self.inner.check_sets(names)

    def prepare(self, mesh: Mesh) -> WrappedSample:
        """The sample of the model inside, its additional inputs being zero."""
        self.check()
        return self.wrap(mesh)

    def wrap(self, mesh: Mesh) -> WrappedSample:
        """See `prepare`."""
        full = mesh.replace(**_zeros(mesh, self.more_inputs(self.fields_)))
        inner = self.inner.prepare(full)
        return WrappedSample(counts=inner.counts, inner=inner, carriers=self.writer.carriers(full))

    def collate(self, samples: Sequence[Any]) -> Any:
        """Samples of several meshes as one batch; those inside as the model inside has it."""
        joined = collate([sample.replace(inner=None) for sample in samples])
        return joined.replace(inner=self.inner.collate([sample.inner for sample in samples]))

    def targets(self, source: Mesh, target: Mesh) -> dict[str, Tensor]:
        """What the model inside learns."""
        return self.inner.targets(source, target)

    def decode(self, mesh: Mesh, tables: dict[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `targets`."""
        return self.inner.decode(mesh, tables)

    def build_optimizer(self, module: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
        """That of the model inside."""
        return self.inner.build_optimizer(module, learning_rate, weight_decay)

    # -- files -----------------------------------------------------------------------------------------------------

    def saved_params(self) -> dict[str, Any]:
        """The arguments, that of the model inside as its name and its arguments."""
        template = self.template
        known = {"estimator": type(template).__name__, "params": template.saved_params()}
        others = {name: value for name, value in self.get_params().items() if name != "model"}
        return {**json_params(type(self).__name__, others), "model": known}

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """That of the model inside."""
        inner = self.inner
        inner.module_, inner.history_ = self.module_, self.history_
        return inner.get_state()

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`."""
        if isinstance(self.model, dict):
            self.model = find_estimator(self.model["estimator"])(**self.model["params"])
        inner = self.inner
        inner.set_state(tensors, meta)
        self.module_, self.normalizers_, self.history_ = inner.module_, inner.normalizers_, inner.history_


def _zeros(mesh: Mesh, specs: tuple[FieldSpec, ...]) -> dict[str, Any]:
    """The data of a mesh with fields of zeros."""
    data: dict[str, Any] = {name: dict(getattr(mesh, name)) for name in ("point_data", "cell_data", "global_data")}
    for spec in specs:
        if spec.location == "point":
            data["point_data"][spec.name] = mesh.points.new_zeros(mesh.n_points, *spec.shape)
        elif spec.location == "cell":
            data["cell_data"][spec.name] = {
                kind: mesh.points.new_zeros(len(mesh.cells[kind]), *spec.shape) for kind in mesh.domain_types
            }
        else:
            data["global_data"][spec.name] = mesh.points.new_zeros(spec.shape)
    return data
