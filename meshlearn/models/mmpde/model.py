"""`MMPDE`: learned time steps on two meshes at once, one that stays and one that follows the solution.

A graph network on the mesh at rest and one on a mesh whose points have moved to where the solution is sharp, joined by
learned interpolation, with a small correction beside both. It steps fields of a `Trajectory` in time.

Paper: P. Hu, Y. Wang, Z.-M. Ma 2024, "Better neural PDE solvers through data-free mesh movers", arXiv:2312.05583, the
moving-mesh neural PDE solver: u' = G1(u; mesh) + Itp2 G2(Itp1 u; moved mesh) + res_cut(u), the mover frozen.

Departures, and why:
- Interpolation weights add up to one by construction (`transfer.py`): constants are kept exactly. The paper's are the
  plain outputs of a network, which keep nothing.
- They are functions of relative positions, so that meshes of any size and number of points are taken; they start as
  linear interpolation, and need no training of their own.
- The correction is a network of a point and the mean of its neighbours instead of one of all points of a fixed mesh.
- Any mover moves the mesh, classical ones or a fitted `DataFreeMeshMover`; moved meshes and interpolations are part of
  the samples, made once for every frame of a fit.
- The branches are the networks of `MeshGraphNet` on one connectivity (that of the mesh, and of coarser graphs made from
  it) with two sets of positions; optimiser, loss, increments, noise and rollouts are those of `MeshGraphNet`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, no_type_check

import torch
from torch import Tensor, nn

from meshlearn.errors import CheckpointError, ParameterError
from meshlearn.mesh.interpolation import interpolate
from meshlearn.mesh.location import PointLocator
from meshlearn.mesh.mesh import Mesh
from meshlearn.mesh.trajectory import Trajectory
from meshlearn.models.geometric_inputs import boundary_features, centred
from meshlearn.models.meshgraphnet import geometry
from meshlearn.models.meshgraphnet.model import MeshGraphNet
from meshlearn.models.meshgraphnet.sample import TRANSFERS
from meshlearn.models.mmpde.motion import Motion
from meshlearn.models.mmpde.movers import mover_from, mover_state
from meshlearn.models.mmpde.network import MovingNetwork
from meshlearn.models.mmpde.sample import MOVED, MovingSample
from meshlearn.models.mmpde.transfer import make_transfer
from meshlearn.train.fields import FieldSet
from meshlearn.train.graph import measure_weights
from meshlearn.train.named import arguments_of
from meshlearn.train.network import NetworkEstimator
from meshlearn.train.params import json_params
from meshlearn.train.steps import frame_of

M = TypeVar("M", bound="MMPDE")


class MMPDE(MeshGraphNet):
    """Graph networks on a mesh and on the same mesh moved to where the solution needs it.

    inputs, outputs    as in `MeshGraphNet`; outputs are point fields, and a name in both is stepped in time
    mover              "newton", "variational" or "relaxation" (a `MongeAmpereMover` that stops early), "still" (no
                       point moves: two branches on one mesh), or an object with `move(mesh, monitor)` that returns
                       something with `.mesh`: `ml.MongeAmpereMover(...)`, a fitted `ml.DataFreeMeshMover`, your own
    field              the point input that the mesh follows, of a vector its norm; None: the first output
    monitor            "hessian", "squared_hessian" or "gradient": density of cells wanted, as in `HessianMonitor` …;
                       None: the mover is called without one, as learned movers may be
    amplitude, smoothing
                       of the monitor; the smoothing length in units of the size of the mesh (area^(1/2))
    neighbors          points that the learned interpolation takes into account
    transfer_hidden    width of the networks that give its weights, and of the correction
    cut                whether there is a correction beside both branches

    The other arguments are those of `MeshGraphNet`, for both branches, which have weights of their own: an `MMPDE` has
    a little more than twice the parameters of a `MeshGraphNet` of the same width.

    After `fit`: as `MeshGraphNet`. `predict`, `rollout`, `score`, `save` as for all estimators; movers made of data are
    saved with the model. `moving` gives a series on its moved meshes, for pictures and films.

    >>> waves = ml.sim.make_burgers(2, resolution=6, reference=1, frames=2)
    >>> model = ml.MMPDE(["u"], ["u"], hidden=8, steps=1, levels=1).fit(waves, epochs=1, progress=False)
    >>> model.rollout(waves[0][0], steps=3).point_data["u"].shape
    torch.Size([4, 49])
    """

    mover: Any
    field: str | None
    monitor: str | None
    amplitude: float
    smoothing: float
    neighbors: int
    transfer_hidden: int
    cut: bool
    displacement = None

    @no_type_check  # stores whatever it is given, as scikit-learn has it; `fit` checks
    def __init__(
        self,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        mover: Any = "newton",
        field: str | None = None,
        monitor: str | None = "hessian",
        amplitude: float = 5.0,
        smoothing: float = 0.02,
        neighbors: int = 8,
        transfer_hidden: int = 16,
        cut: bool = True,
        hidden: int = 64,
        steps: int = 4,
        levels: int = 3,
        coarse_steps: int | None = None,
        mlp_layers: int = 1,
        activation: str = "silu",
        aggregation: str = "sum",
        context: bool = True,
        processor: str = "interaction",
        processor_options: dict[str, Any] | None = None,
        boundary_sets: Sequence[str] = (),
        distances: bool = True,
        coordinates: str = "centred",
        noise: float = 0.0,
        fused: bool = True,
        recompute: bool | None = None,
        optimizer: str = "muon",
        loss: str = "relative",
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.mover = mover
        self.field = field
        self.monitor = monitor
        self.amplitude = amplitude
        self.smoothing = smoothing
        self.neighbors = neighbors
        self.transfer_hidden = transfer_hidden
        self.cut = cut
        self.hidden = hidden
        self.steps = steps
        self.levels = levels
        self.coarse_steps = coarse_steps
        self.mlp_layers = mlp_layers
        self.activation = activation
        self.aggregation = aggregation
        self.context = context
        self.processor = processor
        self.processor_options = processor_options
        self.boundary_sets = boundary_sets
        self.distances = distances
        self.coordinates = coordinates
        self.noise = noise
        self.fused = fused
        self.recompute = recompute
        self.optimizer = optimizer
        self.loss = loss

    k = 8  # neighbours in the graph of a mesh without cells, which movers refuse

    # -- fit and predict -------------------------------------------------------------------------------------------

    @arguments_of(NetworkEstimator.fit)
    def fit(self: M, meshes: Any, **options: Any) -> M:
        """Train on trajectories; options as in `NetworkEstimator.fit`. Returns self.

        Every frame's mesh is moved once, starting from the frame before it. Raises the errors of the mover, too.
        """
        self.__dict__.pop("_motion_made", None)
        self._motion().begin(warm=True)
        try:
            return super().fit(meshes, **options)
        finally:
            self._motion().begin(warm=False)

    def rollout(self, start: Mesh | Trajectory, steps: int | None = None, time_step: float | None = None) -> Trajectory:
        """As `Estimator.rollout`; every moved mesh starts from the one before it."""
        self._motion().begin(warm=True)
        try:
            return super().rollout(start, steps, time_step)
        finally:
            self._motion().begin(warm=False)

    def moving(self, trajectory: Any) -> Trajectory:
        """The series on its moved meshes: a Trajectory with `moving_points` and the same fields, interpolated.

        Raises ParameterError for anything but a Trajectory on a mesh that is still.
        """
        if not isinstance(trajectory, Trajectory) or trajectory.moving_points is not None:
            raise ParameterError("moving(trajectory) needs a Trajectory on a mesh whose points do not move yet.")
        motion = self._motion()
        motion.begin(warm=True)
        points, fields = [], []
        try:
            for i in range(len(trajectory)):
                frame = frame_of(trajectory, i)
                moved = motion.moved(frame)
                points.append(moved.points)
                names = [name for name, values in trajectory.point_data.items() if values.is_floating_point()]
                carried = interpolate(frame, moved, names)
                fields.append({name: carried.point_data[name] for name in names})
        finally:
            motion.begin(warm=False)
        data = {name: torch.stack([frame[name] for frame in fields]) for name in fields[0]}
        return trajectory.replace(point_data=data, cell_data={}, moving_points=torch.stack(points))

    # -- what a network estimator writes ---------------------------------------------------------------------------

    def build(self, fields: FieldSet) -> nn.Module:
        """Both branches and what joins them; raises ParameterError for arguments that cannot be."""
        elsewhere = [spec.name for spec in fields.outputs if spec.location != "point"]
        if elsewhere:
            raise ParameterError(
                f"MMPDE gives point fields; {', '.join(map(repr, elsewhere))} "
                f"{'is' if len(elsewhere) == 1 else 'are'} not at the points. MeshGraphNet takes outputs of all kinds."
            )
        sizes = self.normalizers_.sizes["features"]
        columns = sizes["point_inputs"] - sizes[f"{MOVED}geometry"]
        return MovingNetwork(
            super().build(fields),
            super().build(fields),
            columns,
            fields.width("outputs", "point"),
            fields.dim,
            self.transfer_hidden,
            self.cut,
        )

    def settle(self) -> None:
        """Set `levels_`, and drop the statistics of levels without edges."""
        super().settle()
        features = self.normalizers_.features
        for number in range(self.levels_, self.levels):
            for kind in TRANSFERS:
                del features[f"{MOVED}{kind}_features_{number}"]

    def prepare(self, mesh: Mesh) -> MovingSample:
        """The graphs of the mesh, their features where it is and where it has moved to, and the way between both."""
        self._check()
        rest = super().prepare(mesh)
        moved = self._motion().moved(mesh)
        points = moved.points.detach()
        columns = [boundary_features(moved, self.boundary_sets, self.distances, normals=self.distances)]
        if self.coordinates != "none":
            weights = measure_weights(moved, "point")
            columns.append(points if self.coordinates == "absolute" else centred(points, weights))
        levels = geometry.hierarchy(mesh, getattr(self, "levels_", self.levels), self.k)
        edges, *coarse = self._graphs(levels, points, None)
        features = {"edge_features": edges}
        for number, level in enumerate(coarse, start=1):
            features |= {f"{kind}_features_{number}": getattr(level, f"{kind}_features") for kind in TRANSFERS}
        return MovingSample.extending(
            rest,
            moved_edges=features,
            moved_geometry=torch.cat(columns, dim=1),
            to_moved=make_transfer(self._locator(mesh), points, self.neighbors),
            to_rest=make_transfer(moved, mesh.points.detach(), self.neighbors),
        )

    # -- files -----------------------------------------------------------------------------------------------------

    def saved_params(self) -> dict[str, Any]:
        """Arguments as JSON knows them; a mover that is an object is saved with what was learned."""
        params = self.get_params()
        if not isinstance(self.mover, str):
            mover_state(self.mover)  # raises where it cannot be
            params["mover"] = None
        return json_params(type(self).__name__, params)

    def get_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights, normalisers and levels, and the mover where it is an object."""
        tensors, meta = super().get_state()
        if isinstance(self.mover, str):
            return tensors, meta
        mover_tensors, made = mover_state(self.mover)
        return {**tensors, **{f"mover.{name}": value for name, value in mover_tensors.items()}}, {**meta, "mover": made}

    def set_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """The inverse of `get_state`."""
        if "mover" in meta:
            own = {name.removeprefix("mover."): v for name, v in tensors.items() if name.startswith("mover.")}
            self.mover = mover_from(own, meta["mover"])
        elif not isinstance(self.mover, str):
            raise CheckpointError("this MMPDE was saved without its mover: the file is incomplete.")
        super().set_state({name: v for name, v in tensors.items() if not name.startswith("mover.")}, meta)

    def _check(self) -> None:
        for name in ("neighbors", "transfer_hidden"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ParameterError(f"{name}={value!r} must be a whole number of at least 1.")
        if not isinstance(self.cut, bool):
            raise ParameterError(f"cut={self.cut!r} must be True or False.")

    # -- the motion ------------------------------------------------------------------------------------------------

    def _motion(self) -> Motion:
        """What moves the frames; made anew when its arguments were changed."""
        field = self.field
        if field is None:
            names = list(self.outputs) if not isinstance(self.outputs, str) else [self.outputs]
            if not names:
                raise ParameterError("outputs is empty: there is no field for the mesh to follow, and none to learn.")
            field = names[0]
        key = (id(self.mover), field, self.monitor, self.amplitude, self.smoothing)
        known = self.__dict__.get("_motion_made")
        if known is None or known[0] != key:
            known = self._motion_made = (key, Motion(self.mover, *key[1:]))
        return known[1]

    def _locator(self, mesh: Mesh) -> PointLocator:
        """Finds points in the mesh at rest; one for the frames that follow each other."""
        known = self.__dict__.get("_locator_made")
        if known is None or known[0] is not mesh.points or known[1].mesh.topology is not mesh.topology:
            known = self._locator_made = (mesh.points, PointLocator(mesh.without_data()))
        return known[1]
