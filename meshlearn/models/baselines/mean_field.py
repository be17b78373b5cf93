"""`MeanField`: the same value everywhere and always, the mean of each output over the training meshes.

It measures how hard a problem is: a model that is not clearly better has learned nothing. No paper: the best constant
in the measure-weighted L2 norm, every mesh counting the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, no_type_check

import torch
from torch import Tensor

from meshlearn.mesh.mesh import Mesh
from meshlearn.models.baselines.training import checked_work, resolve
from meshlearn.train.estimator import Estimator, Fields
from meshlearn.train.graph import measure_weights
from meshlearn.train.survey import Survey
from meshlearn.train.time_steps import TimeSteps


class MeanField(Estimator):
    """Predicts the training mean of every output.

    inputs, outputs  names of fields; the inputs are not used (they are accepted so that models are interchangeable)

    >>> meshes = [ml.shapes.square(n=2).with_global_data(load=torch.tensor(x)) for x in (1.0, 3.0)]
    >>> ml.MeanField([], ["load"]).fit(meshes).predict(ml.shapes.square(n=3)).global_data["load"]
    tensor(2.)
    """

    means_: dict[str, Tensor]

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(self, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> None:
        self.inputs = inputs
        self.outputs = outputs

    def fit(self, meshes: Any) -> MeanField:
        """Average the outputs; returns self."""
        items, fields = resolve(meshes, self.inputs, self.outputs)
        time_steps = TimeSteps(fields)
        sums: dict[str, Tensor] = {}
        count = 0
        for work in checked_work(items, fields, Survey(), time_steps):
            for location, table in fields.targets(work.target, work.where).items():
                weights = measure_weights(work.target, location).double()
                mean = weights @ table.detach().double()
                sums[location] = sums[location] + mean if location in sums else mean
            count += 1
        self.means_ = {location: total.cpu() / count for location, total in sums.items()}
        self.fields_, self.time_step_ = fields, time_steps.value
        return self

    def predict_fields(self, meshes: Iterator[Mesh], return_std: bool = False) -> Iterator[tuple[Fields, Fields]]:
        """The means on every row."""
        for mesh in meshes:
            rows = {"point": mesh.n_points, "cell": mesh.n_cells, "global": 1}
            tables = {
                location: mean.to(mesh.device, mesh.dtype).expand(rows[location], -1)
                for location, mean in self.means_.items()
            }
            yield self.fields_.split_outputs(tables), {}

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The means."""
        return dict(self.means_), {}

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`."""
        self.means_ = {location: values.to(torch.float64) for location, values in tensors.items()}
