"""`LayerContract`: tests that a layer on graphs inherits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from meshlearn.mesh import shapes
from meshlearn.mesh.mesh import Mesh
from meshlearn.ops import Adjacency
from meshlearn.testing.permutation import permute_mesh


class LayerContract:
    """Subclass it in a test file, name the class Test…, and write `make`: four tests come for free.

    make()                          -> the layer
    apply(layer, x, points, graph)  -> (n_points, out): how it is called; default `layer(x, graph)`.
                                    `points` are coordinates in the dtype of x, `graph` is an Adjacency
    width                           number of features of x

    >>> class TestMean(LayerContract):
    ...     def make(self):
    ...         return torch.nn.Identity()
    ...
    ...     def apply(self, layer, x, points, graph):
    ...         return ml.ops.segment_mean(ml.ops.gather_senders(layer(x), graph), graph.ptr)
    >>> TestMean().test_permuting_points_permutes_the_output()
    """

    width: int = 6
    rtol: float = 1e-9
    atol: float = 1e-10

    def make(self) -> nn.Module:
        """The layer under test."""
        raise NotImplementedError("a LayerContract needs make(self), which returns the layer under test.")

    def apply(self, layer: nn.Module, x: Tensor, points: Tensor, graph: Adjacency) -> Any:
        """The output for features x (n_points, width) on a graph."""
        return layer(x, graph)

    def meshes(self) -> list[Mesh]:
        """Meshes of different sizes and cell types, in float64."""
        made = [shapes.rectangle(n=(2, 3)), shapes.rectangle(n=(4, 2), cells="mixed"), shapes.rectangle(n=(1, 1))]
        return [mesh.double() for mesh in made]

    def _layer(self) -> nn.Module:
        torch.manual_seed(0)
        return self.make().double().eval()

    def _features(self, mesh: Mesh, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(mesh.n_points, self.width, generator=generator, dtype=torch.float64)

    def test_batch_of_unlike_meshes_equals_a_loop(self) -> None:
        """Meshes side by side in one graph do not see each other."""
        layer, meshes = self._layer(), self.meshes()
        features = [self._features(mesh, i) for i, mesh in enumerate(meshes)]
        graph = Adjacency.block_diagonal([mesh.point_adjacency for mesh in meshes])
        together = self.apply(layer, torch.cat(features), torch.cat([mesh.points for mesh in meshes]), graph)
        apart = [self.apply(layer, x, m.points, m.point_adjacency) for x, m in zip(features, meshes, strict=True)]
        torch.testing.assert_close(together, torch.cat(apart), rtol=self.rtol, atol=self.atol)

    def test_permuting_points_permutes_the_output(self) -> None:
        """The numbering of points and edges does not matter."""
        layer, mesh = self._layer(), self.meshes()[1]
        new, order, _ = permute_mesh(mesh)
        x = self._features(mesh)
        plain = self.apply(layer, x, mesh.points, mesh.point_adjacency)
        permuted = self.apply(layer, x[order], new.points, new.point_adjacency)
        torch.testing.assert_close(permuted, plain[order], rtol=self.rtol, atol=self.atol)

    def test_gradcheck_in_float64(self) -> None:
        """Gradients with respect to the features and the parameters are those of finite differences."""
        layer, mesh = self._layer(), self.meshes()[2]
        x = self._features(mesh).requires_grad_()
        parameters = [p for p in layer.parameters() if p.requires_grad]

        def function(x: Tensor, *_: Tensor) -> Tensor:
            return self.apply(layer, x, mesh.points, mesh.point_adjacency)

        assert torch.autograd.gradcheck(function, (x, *parameters), fast_mode=True)

    def test_a_point_without_neighbours_gets_a_finite_output(self) -> None:
        """Empty rows of the graph are legal."""
        nothing = torch.zeros(0, dtype=torch.int64)
        x = torch.randn(2, self.width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        out = self.apply(self._layer(), x, torch.eye(2, dtype=torch.float64), Adjacency.from_edges(nothing, nothing, 2))
        assert torch.isfinite(out).all()
