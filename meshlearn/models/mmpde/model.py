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
from meshlearn.models.mmpde.following import brought, follow, next_points, roll_on, with_noise
from meshlearn.models.mmpde.motion import Motion
from meshlearn.models.mmpde.movers import mover_from, mover_state
from meshlearn.models.mmpde.network import MovingNetwork
from meshlearn.models.mmpde.sample import MOVED, MovingSample
from meshlearn.models.mmpde.transfer import make_transfer
from meshlearn.train.fields import FieldSet
from meshlearn.train.graph import measure_weights
from meshlearn.train.named import arguments_of
from meshlearn.train.network import NetworkEstimator
from meshlearn.train.option_checks import flag, whole
from meshlearn.train.params import json_params
from meshlearn.train.steps import frame_of, steps_in_time

M = TypeVar("M", bound="MMPDE")
STATES = ("rest", "moved")


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
    state              where the fields live. "rest": on the mesh that stays, as in the paper; they are carried to the
                       moved mesh and back in every step. "moved": on the moved mesh, and from there to the next one.
                       Nothing comes back to the mesh at rest, which could not hold what the moved one resolves. Series
                       for it are made by `follow`
    neighbors          points that the learned interpolation takes into account
    transfer_hidden    width of the networks that give its weights, and of the correction
    cut                whether there is a correction beside both branches

    The other arguments are those of `MeshGraphNet`, with its defaults (`noise` disturbs the fields that the networks
    see, not the mesh, which moved before), for both branches, which have weights of their own: an `MMPDE` has
    a little more than twice the parameters of a `MeshGraphNet` of the same width.

    After `fit`: as `MeshGraphNet`. `predict`, `rollout`, `score`, `save` as for all estimators; movers made of data are
    saved with the model. `moving` gives a series on its moved meshes, for pictures and films. With state="moved" a
    prediction holds the values at the points that the frame moves on to, and rollouts have `moving_points`.

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
    state: str
    neighbors: int
    transfer_hidden: int
    cut: bool
    displacement = None  # of `MeshGraphNet`, not an argument here: the points move by the mover alone
    k = 8  # the same: neighbours in the graph of a mesh without cells, which movers refuse

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
        state: str = "rest",
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
        self.state = state
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

    # -- fit and predict -------------------------------------------------------------------------------------------

    @arguments_of(NetworkEstimator.fit)
    def fit(self: M, meshes: Any, **options: Any) -> M:
        """Train on trajectories; options as in `NetworkEstimator.fit`. Returns self.

        Every frame's mesh is moved once (every epoch with cache_samples=False), from where it rests: what is learned
        does not depend on the order of the frames. Raises the errors of the mover, too.
        """
        self.__dict__.pop("_motion_made", None)
        return super().fit(meshes, **options)

    def rollout(self, start: Mesh | Trajectory, steps: int | None = None, time_step: float | None = None) -> Trajectory:
        """As `Estimator.rollout`; every moved mesh starts from the one before it.

        With state="moved" the start is what `follow` made, or a mesh at rest, and the points of the result move.
        """
        self._motion().begin(warm=True)
        try:
            if self.state == "moved":
                self.check_fitted("rollout")
                return roll_on(self, self._motion(), start, steps, time_step)
            return super().rollout(start, steps, time_step)
        finally:
            self._motion().begin(warm=False)

    def follow(self, trajectory: Any, mesh: Mesh) -> Trajectory:
        """The fields of a series at the points of `mesh` while they follow it: what state="moved" learns from.

        trajectory  on any still mesh that is as fine as the truth is known
        mesh        the mesh that moves, of the same domain

        Returns a Trajectory on `mesh` with `moving_points` x_i, the point fields of the series sampled there (linear in
        the cells of its mesh), and the point fields `next_points` x_(i + 1) (of the last frame: where it would move
        on to) and `rest_points`. The mesh of frame i + 1 is the one that frame i asks for, as it is in a rollout, so
        that no frame knows a later one. Raises ParameterError and FieldError for what is not such a series.
        """
        self._check()
        return follow(self._motion(), trajectory, mesh)

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
        if self.state == "moved":
            self._check_stepped(fields)
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
            back=self.state == "rest",
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
        stays = self.state == "rest"
        moved = self._motion().moved(mesh) if stays else mesh.without_data().replace(points=next_points(mesh))
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
            to_rest=make_transfer(moved, mesh.points.detach(), self.neighbors) if stays else None,
        )

    def targets(self, source: Mesh, target: Mesh) -> dict[str, Tensor]:
        """As `MeshGraphNet`; of a state that moves the change at the points of the target."""
        return super().targets(self._present(source), target)

    def decode(self, mesh: Mesh, tables: dict[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `targets`."""
        return super().decode(self._present(mesh), tables)

    def augment(self, batch: Any) -> Any:
        """As `MeshGraphNet`."""
        noisy: Any = super().augment(batch)
        return with_noise(batch, noisy) if self.noise and self.state == "moved" else noisy

    def _present(self, mesh: Mesh) -> Mesh:
        if self.state == "rest":
            return mesh
        return brought(mesh, [spec.name for spec in self.fields_.outputs])

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
            whole(1)(name, getattr(self, name))
        flag("cut", self.cut)
        if self.state not in STATES:
            raise ParameterError(f"state={self.state!r}: expected one of {', '.join(map(repr, STATES))}.")

    def _check_stepped(self, fields: FieldSet) -> None:
        """Fields at the points that are not stepped would have to be known wherever the points move."""
        stepped = {spec.name for spec in fields.outputs}
        other = [spec.name for spec in fields.inputs if spec.location != "global" and spec.name not in stepped]
        if other or not steps_in_time(fields):
            told = (
                f"{', '.join(map(repr, other))} would have to be known wherever the points move"
                if other
                else ("none of its outputs is also an input, so there is no state")
            )
            raise ParameterError(
                f"MMPDE(state='moved'): {told}.\n  inputs are fields that are stepped in time, and global values; "
                "state='rest' takes any."
            )

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
