"""`GridOperator`: networks on regular grids, for fields on any mesh.

Inputs are carried from the mesh to a grid over its bounding box (`meshlearn.grids.adapter`), together with the mask of
the domain, the signed distance to its boundary and coordinates; a core makes outputs there, which are sampled at the
points and cells of the mesh. The loss is that on the mesh, so the grid's values outside the domain are free.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, no_type_check

import torch
from torch import Tensor, nn

from meshlearn.errors import CheckpointError, ParameterError
from meshlearn.grids.adapter import MeshToGrid
from meshlearn.grids.cores.calling import initialise_lazy
from meshlearn.grids.cores.registry import build_core, core_maker
from meshlearn.grids.floor import GridWarning, told_of_floors
from meshlearn.grids.network import GridNetwork
from meshlearn.grids.sample import GridSample
from meshlearn.grids.surroundings import KernelEncoder, surroundings
from meshlearn.grids.transfer import GridTransfer
from meshlearn.hints import did_you_mean
from meshlearn.mesh.mesh import Mesh
from meshlearn.train.field_network import FieldNetworkEstimator, check_loss
from meshlearn.train.fields import FieldSet
from meshlearn.train.fitting import split
from meshlearn.train.graph import row_counts
from meshlearn.train.items import as_items
from meshlearn.train.named import arguments_of
from meshlearn.train.network import NetworkEstimator
from meshlearn.train.option_checks import flag, whole
from meshlearn.train.options import FitOptions

__all__ = ["GridOperator", "GridWarning"]

PLACES = ("point", "cell")  # where input fields live that go to the grid


class GridOperator(FieldNetworkEstimator):
    """A grid network behind transfers between meshes and grids.

    inputs, outputs  names of fields in point_data, cell_data or global_data; a name in both is stepped in time
    core             "fno", "tfno", "mgtfno" (these need `pip install "meshlearn[grids]"`), "unet", "sinenet", "mgno",
                     "lsm", "scot" (conditioned on `time`) or "deeponet"; a name given to
                     `meshlearn.grids.register_core`; a function of (n_in, n_out, periodic) that returns an nn.Module;
                     or an nn.Module from (batch, n_in, *shape) to (batch, n_out, *shape). Only named cores can be saved
    core_options     arguments of the core, such as {"modes": 16, "hidden": 48}
    shape            nodes along the longest side of the box, or a number per axis: see `ml.MeshToGrid`, also for
                     transfer, extension, periodic, box
    coordinates      coordinates as inputs (from the corner of the box; sines and cosines along periodic axes)
    distance         the signed distance to the boundary as an input
    loss             "relative" (what `score` reports, see `ml.MeshGraphNet`), "mse", "mae" or "huber"
    time             the name of a global input that cores with `takes_time = True` are conditioned on (how far ahead to
                     predict, say); for others it is one of the inputs, and no more
    learned          channels that a learned kernel makes of the input fields around each node of the grid, beside the
                     transferred ones; 0: none. They do not depend on how fine or graded the mesh is

    Meshes of a batch may have different grids. Boundary conditions choose the padding of the core: periodic axes wrap,
    the others are continued by their last values.

    After `fit`: `floors_`, {output: relative error of carrying it to the grid and back}, on some training meshes; of
    outputs that are stepped in time, that of carrying the change of the last step; {} for "deeponet", whose outputs
    never are on a grid. A GridWarning says when that is half of the model's own error or more, with the number of
    nodes to use.

    >>> meshes = [ml.shapes.square(n=n) for n in (5, 6)]
    >>> meshes = [m.with_point_data(f=m.points[:, 0], u=m.points[:, 0].square()) for m in meshes]
    >>> model = ml.GridOperator(["f"], ["u"], core="unet", core_options={"hidden": 8}, shape=8)
    >>> model = model.fit(meshes, epochs=2, progress=False)
    >>> model.predict(ml.shapes.square(n=4).with_point_data(f=torch.zeros(25))).point_data["u"].shape
    torch.Size([25])
    """

    core: Any
    core_options: dict[str, Any] | None
    shape: int | Sequence[int]
    transfer: str
    extension: str
    periodic: Any
    box: Any
    coordinates: bool
    distance: bool
    time: str | None
    learned: int
    floors_: dict[str, float]

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        core: Any = "fno",
        core_options: dict[str, Any] | None = None,
        shape: int | Sequence[int] = 32,
        transfer: str = "interpolate",
        extension: str = "linear",
        periodic: Any = False,
        box: Any = None,
        coordinates: bool = True,
        distance: bool = True,
        loss: str = "relative",
        time: str | None = None,
        learned: int = 0,
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.core = core
        self.core_options = core_options
        self.shape = shape
        self.transfer = transfer
        self.extension = extension
        self.periodic = periodic
        self.box = box
        self.coordinates = coordinates
        self.distance = distance
        self.loss = loss
        self.time = time
        self.learned = learned

    @property
    def adapter(self) -> MeshToGrid:
        """The transfer between meshes and grids, for these arguments."""
        settings = (repr(self.shape), self.transfer, self.extension, repr(self.periodic), repr(self.box))
        kept = self.__dict__.get("_adapter")
        if kept is None or kept[0] != settings:
            made = MeshToGrid(self.shape, self.transfer, self.extension, self.periodic, self.box)
            kept = self._adapter = (settings, made)
        return kept[1]

    # -- the network -----------------------------------------------------------------------------------------------

    @arguments_of(NetworkEstimator.fit)
    def fit(self, meshes: Any, **options: Any) -> GridOperator:
        """Train, and tell what the grid costs (`floors_`); returns self. Arguments are those of `NetworkEstimator`.

        Gives a GridWarning when the transfer of an output has half of the model's own error or more, on meshes of the
        training.
        """
        meshes = as_items(meshes)  # an iterator is read once
        super().fit(meshes, **options)
        share = FitOptions.checked(**options)
        if isinstance(share.validation, float):  # the floors are of training meshes: never of those held out
            meshes = split(meshes, share)[0]
        self.floors_, advice = told_of_floors(self, meshes)
        if advice:
            warnings.warn(advice, GridWarning, stacklevel=2)
        return self

    def build(self, fields: FieldSet) -> nn.Module:
        """The network for these fields; raises ParameterError for arguments that cannot be."""
        check_loss(self.loss)
        options = self.core_options if self.core_options is not None else {}
        if not isinstance(options, dict) or not all(isinstance(name, str) for name in options):
            raise ParameterError(f"core_options={options!r} must be a dictionary of arguments by name, or None.")
        flag("coordinates", self.coordinates)
        flag("distance", self.distance)
        sizes = self.normalizers_.sizes["features"]
        widths = {location: fields.width("outputs", location) for location in fields.output_locations}
        width = whole(0)("learned", self.learned)
        encoders = {
            place: KernelEncoder(sizes[f"{place}_values"], fields.dim, width)
            for place in PLACES
            if width and fields.at("inputs", place)
        }
        n_in = sizes["grid_inputs"] + sizes["global_inputs"] + width * len(encoders)
        places = sizes.get("point_places", sizes.get("cell_places", 0))
        core = build_core(self.core, n_in, widths, places, self.adapter.flags(fields.dim), options)
        channels = self._channels(fields, width)
        shape = self.adapter.shape
        initialise_lazy(core, n_in, (shape,) * fields.dim if isinstance(shape, int) else shape, channels)
        return GridNetwork(core, widths, self._time_column(fields), encoders, channels)

    def _channels(self, fields: FieldSet, learned: int) -> str:
        """What the core sees, in words."""
        named = [(spec.name, spec.size) for place in PLACES for spec in fields.at("inputs", place)]
        axes = sum(1 + wraps for wraps in self.adapter.flags(fields.dim))
        named += [("mask", 1), ("signed distance", int(self.distance)), ("coordinates", axes * self.coordinates)]
        named += [(f"learned of {place} fields", learned) for place in PLACES if fields.at("inputs", place)]
        named += [(spec.name, spec.size) for spec in fields.at("inputs", "global")]
        return ", ".join(f"{name} ({size})" for name, size in named if size)

    def _time_column(self, fields: FieldSet) -> int | None:
        """The column of the global inputs that holds the time."""
        if self.time is None:
            return None
        column = 0
        for spec in fields.at("inputs", "global"):
            if spec.name == self.time and spec.size == 1:
                return column
            column += spec.size
        known = [spec.name for spec in fields.at("inputs", "global") if spec.size == 1]
        guess = did_you_mean(self.time, known) if isinstance(self.time, str) else "."
        raise ParameterError(
            f"time={self.time!r} is not an input with one value per mesh{guess}\n  Those are {known}: name it in "
            "inputs, and give it as global_data of every mesh."
        )

    def prepare(self, mesh: Mesh) -> GridSample:
        """Inputs on the grid, in physical units, and the matrices back to the mesh."""
        fields, adapter = self.fields_, self.adapter
        pair = adapter.transfer(mesh)
        tables = {
            place: fields.table(mesh, "inputs", place, exact=True) for place in PLACES if fields.at("inputs", place)
        }
        columns = [adapter.transfer(mesh, place).to_grid(table).flatten(0, -2) for place, table in tables.items()]
        columns.append(pair.mask.reshape(-1, 1).to(mesh.points))
        if self.distance:
            columns.append(pair.signed_distance.reshape(-1, 1).to(mesh.points))
        if self.coordinates:
            columns.append(self._coordinates(pair, pair.grid.points).to(mesh.points))
        pairs = {place: adapter.transfer(mesh, place) for place in fields.output_locations if place != "global"}
        matrices = {place: other.sampling for place, other in pairs.items()}
        for matrix in matrices.values():
            matrix.adjacency.transpose()  # built once here, and kept by every batch made of this sample
        places: dict[str, Any] = {
            f"{place}_places": self._coordinates(other, other.sites.places.detach()).to(mesh.points)
            for place, other in pairs.items()
        }
        weights = pair.weights.reshape(-1)
        return GridSample(
            counts=row_counts(mesh),
            grid_inputs=torch.cat(columns, dim=1),
            global_inputs=fields.table(mesh, "inputs", "global", exact=True),
            grid_shape=torch.tensor([pair.grid.shape], device=mesh.device),
            grid_weights=(weights / weights.sum()).to(mesh.points),
            sampling={place: matrix.adjacency for place, matrix in matrices.items()},
            shares={place: matrix.values.detach().to(mesh.points.dtype) for place, matrix in matrices.items()},
            around={place: surroundings(adapter.transfer(mesh, place), table) for place, table in tables.items()}
            if self.learned
            else {},
            **places,
        )

    def _coordinates(self, pair: GridTransfer, points: Tensor) -> Tensor:
        """From the low corner of the box; along periodic axes the sine and cosine of one period."""
        grid, columns = pair.grid, []
        for axis, periodic in enumerate(grid.periodic):
            x = points[:, axis] - grid.low[axis]
            if periodic:
                angle = 2 * math.pi * x / grid.lengths[axis]
                columns += [angle.sin(), angle.cos()]
            else:
                columns.append(x)
        return torch.stack(columns, dim=1)

    # -- files -----------------------------------------------------------------------------------------------------

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights and normalisers as tensors; widths, floors and history as data."""
        tensors, meta = super().get_state()
        return tensors, {**meta, "floors": getattr(self, "floors_", {})}

    def saved_params(self) -> dict[str, Any]:
        """As of every estimator. Raises CheckpointError for a core without a name."""
        if not isinstance(self.core, str):
            raise CheckpointError(
                f"this {type(self).__name__} cannot be saved: core={self.core!r:.80} is code, and a saved model holds "
                'data only.\n  Give it a name, meshlearn.grids.register_core("mine", make), and say core="mine".'
            )
        return super().saved_params()

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`."""
        try:
            core_maker(self.core)
        except ParameterError as error:
            raise CheckpointError(
                f"this model has core={self.core!r}, which is not known here.\n  Register it before loading, as it was "
                f"for the training: meshlearn.grids.register_core({self.core!r}, make)."
            ) from error
        self.floors_ = dict(meta["floors"])
        super().set_state(tensors, meta)
