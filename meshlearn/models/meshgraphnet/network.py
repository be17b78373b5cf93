"""The network: encode, process on one or several levels, decode."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from meshlearn import ops
from meshlearn.models.meshgraphnet.processor import make_step
from meshlearn.models.meshgraphnet.sample import TRANSFERS, MultilevelSample
from meshlearn.nn.interaction import Interaction
from meshlearn.nn.mlp import MLP, Picked
from meshlearn.ops import Adjacency


class FeatureModulation(nn.Module):
    """x <- (1 + G c) * x + B c, with the context c of the mesh (FiLM: Perez et al. 2018, arXiv:1709.07871, eq. 2).

    Loads and material numbers multiply the solution of a linear problem; sums of inputs alone learn products slowly.
    """

    def __init__(self, width: int, conditioning: int) -> None:
        super().__init__()
        self.linear = nn.Linear(conditioning, 2 * width)

    def forward(self, x: Tensor, context: Tensor, meshes: Adjacency) -> Tensor:
        """The modulated latents of the points."""
        factor, shift = ops.gather_receivers(self.linear(context), meshes).chunk(2, dim=1)
        return x + factor * x + shift


class Amplitude(nn.Module):
    """y <- exp(a) (y - z) + z, with log-amplitudes a of every output channel from the context of the mesh.

    z is the normalised value of a physical zero, so that the physical output is scaled: one network then covers meshes
    whose solutions differ in size by orders of magnitude (stiffness, conductivity). z is 0, the training mean, where
    the physical zero is far from all values (`physical_zeros`). It starts as the identity.
    """

    zero: Tensor
    LARGEST = 6.0

    def __init__(self, conditioning: int, width: int, zero: Tensor | None = None) -> None:
        super().__init__()
        self.linear = nn.Linear(conditioning, width)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("zero", torch.zeros(width) if zero is None else zero.clone())

    def logarithm(self, context: Tensor) -> Tensor:
        """(n_meshes, width) log-amplitudes, between -6 and 6."""
        return self.LARGEST * torch.tanh(self.linear(context) / self.LARGEST)

    def forward(self, y: Tensor, log_scale: Tensor) -> Tensor:
        """The scaled outputs."""
        return log_scale.exp() * (y - self.zero) + self.zero


class GraphNetwork(nn.Module):
    """MultilevelSample -> {location: (rows, width)}.

    sizes         widths of the features by name, as the estimator's normalisers know them
    outputs       widths of the outputs by location
    steps         message-passing steps on the points: half on the way down to the coarser graphs, half on the way up
    coarse_steps  the same for every coarser level
    context       a latent of the whole mesh: made of the global inputs, updated from the mean of the points, read by
                  every step; in the end it modulates the point latents and scales the outputs
    zeros         z of `Amplitude` by location

    With L levels one pass is a V: steps / 2 on each level going down, with the coarse latents gathered from the finer
    ones; coarse_steps on the coarsest; steps / 2 on each level going up, after interpolation from the coarser one.
    """

    def __init__(
        self,
        sizes: dict[str, int],
        outputs: dict[str, int],
        hidden: int,
        steps: int,
        levels: int,
        coarse_steps: int,
        context: bool,
        layers: int,
        activation: str,
        aggregation: str,
        processor: str,
        processor_options: dict[str, Any],
        fused: bool = True,
        recompute: bool | None = None,
        zeros: dict[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.outputs, self.levels = outputs, levels
        options: dict[str, Any] = {"layers": layers, "activation": activation, "fused": fused, "recompute": recompute}
        self.use_context = context or sizes.get("global_inputs", 0) > 0
        self.conditioning = hidden if self.use_context else 0
        step_options = dict(**options, aggregation=aggregation, conditioning=self.conditioning)

        self.encode_points = MLP(sizes["point_inputs"], hidden, **options)
        edge_names = ["edge_features", *(f"{k}_features_{n}" for n in range(1, levels) for k in TRANSFERS)]
        self.encode_edges = nn.ModuleDict({name: MLP(sizes[name], hidden, **options) for name in edge_names})
        if self.use_context:
            self.encode_context = MLP(max(sizes.get("global_inputs", 0), 1), hidden, **options)
            self.mix_context = nn.ModuleList(MLP([hidden, hidden], hidden, **options) for _ in range(2 * levels - 1))

        def stage(count: int, last: bool) -> nn.ModuleList:
            """`count` steps; the edge latents of the last one are not needed after `last` stages."""
            return nn.ModuleList(
                make_step(
                    processor, processor_options, hidden, update_edges=not (last and i == count - 1), **step_options
                )
                for i in range(count)
            )

        counts = [steps] + [coarse_steps] * (levels - 1)
        self.down_steps = nn.ModuleList(stage(n - n // 2, last=n // 2 == 0) for n in counts[:-1])
        self.bottom_steps = stage(counts[-1], last=True)
        self.up_steps = nn.ModuleList(stage(n // 2, last=True) for n in counts[:-1])
        transfer = dict(**options, aggregation="mean", conditioning=self.conditioning, update_edges=False)
        self.restrict = nn.ModuleList(Interaction(hidden, **transfer) for _ in range(levels - 1))
        self.prolong = nn.ModuleList(Interaction(hidden, **transfer) for _ in range(levels - 1))
        self.decoders = nn.ModuleDict()
        cell_inputs = sizes.get("cell_inputs", 0)
        for location, width in outputs.items():
            extra = [hidden] * self.use_context * (location == "global") + [cell_inputs] * (
                location == "cell" and cell_inputs > 0
            )
            inputs = [hidden, *extra] if extra else hidden
            self.decoders[location] = MLP(
                inputs, width, width=hidden, norm=False, **{**options, "layers": max(layers, 1)}
            )
        if self.use_context:
            self.modulate = FeatureModulation(hidden, hidden)
            self.amplitudes = nn.ModuleDict({k: Amplitude(hidden, w, (zeros or {}).get(k)) for k, w in outputs.items()})

    def forward(self, batch: MultilevelSample) -> dict[str, Tensor]:
        """Normalised outputs at every location."""
        features = batch.feature_tensors()
        graphs = [batch.adjacency, *(level.edges for level in batch.coarse)]
        meshes = [batch.meshes, *(level.meshes for level in batch.coarse)]
        x = self.encode_points(batch.point_inputs)
        edges = {name: encode(features[name]) for name, encode in self.encode_edges.items()}
        context = self._first_context(batch) if self.use_context else None
        stage = 0
        finer: list[tuple[Tensor, Tensor]] = []
        for number, level in enumerate(batch.coarse):
            e = edges[_edge_name(number)]
            x, e = self._run(self.down_steps[number], x, e, graphs[number], context, meshes[number])
            context = self._mixed(stage, context, x, meshes[number])
            stage += 1
            finer.append((x, e))
            start = ops.segment_mean(ops.gather_senders(x, level.down), level.down)
            condition = _condition(context, meshes[number + 1])
            x, _ = self.restrict[number](start, edges[f"down_features_{number + 1}"], level.down, condition, senders=x)
        x, _ = self._run(self.bottom_steps, x, edges[_edge_name(len(finer))], graphs[-1], context, meshes[-1])
        context = self._mixed(stage, context, x, meshes[-1])
        stage += 1
        for number in range(len(finer) - 1, -1, -1):
            fine, e = finer[number]
            condition = _condition(context, meshes[number])
            up = batch.coarse[number].up
            x, _ = self.prolong[number](fine, edges[f"up_features_{number + 1}"], up, condition, senders=x)
            x, _ = self._run(self.up_steps[number], x, e, graphs[number], context, meshes[number])
            context = self._mixed(stage, context, x, meshes[number])
            stage += 1
        return self._decode(x, context, batch)

    def _run(self, steps, x, e, graph, context, meshes):
        condition = _condition(context, meshes)
        for step in steps:
            x, e = step(x, e, graph, condition)
        return x, e

    def _first_context(self, batch: MultilevelSample) -> Tensor:
        inputs = batch.global_inputs
        return self.encode_context(inputs if inputs.shape[1] else inputs.new_ones(len(inputs), 1))

    def _mixed(self, stage: int, context: Tensor | None, x: Tensor, meshes: Adjacency) -> Tensor | None:
        if context is None:
            return None
        mix: Any = self.mix_context[stage]
        return mix.residual(context, ops.segment_mean(x, meshes))

    def _decode(self, x: Tensor, context: Tensor | None, batch: MultilevelSample) -> dict[str, Tensor]:
        results = {}
        if context is not None:
            x = self.modulate(x, context, batch.meshes)
        for location in self.outputs:
            decode = self.decoders[location]
            if location == "point":
                results[location] = decode(x)
            elif location == "cell":
                corners = batch.cell_points
                assert corners is not None
                mean = ops.segment_mean(ops.gather_senders(x, corners), corners)
                has_inputs = batch.cell_inputs is not None and batch.cell_inputs.shape[1] > 0
                results[location] = decode(mean, batch.cell_inputs) if has_inputs else decode(mean)
            else:
                pooled = ops.segment_sum(x * batch.point_weights.to(x.dtype)[:, None], batch.meshes)
                results[location] = decode(pooled) if context is None else decode(pooled, context)
            if context is not None:
                amplitude: Any = self.amplitudes[location]
                log_scale = amplitude.logarithm(context)
                if location != "global":
                    log_scale = log_scale.index_select(0, batch.mesh_index(location))
                results[location] = amplitude(results[location], log_scale)
        return results


def _edge_name(level: int) -> str:
    return "edge_features" if level == 0 else f"edge_features_{level}"


def _condition(context: Tensor | None, meshes: Adjacency) -> Picked | None:
    return None if context is None else Picked(context, meshes, "receivers")
