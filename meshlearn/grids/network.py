"""The network of a grid model: a core on the grids of a batch, read at the points and cells of the meshes."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from meshlearn import ops
from meshlearn.grids.cores.calling import call_core, check_images
from meshlearn.grids.sample import GridSample
from meshlearn.grids.surroundings import KernelEncoder


class GridNetwork(nn.Module):
    """core (batch, channels, *shape) -> (batch, width, *shape), sampled where the outputs live.

    core    one that works on grids; or one with `at_places = True`, called with the grids and the places of the
            outputs: see `meshlearn.grids.cores.deeponet`
    widths  {location: channels of the output}; global outputs are means over the domain
    encoders  {"point" or "cell": learned kernels}, whose channels the core sees beside the inputs on the grid
    time    the column of the global inputs that goes to a core with `takes_time = True` as its time; None: no column
    channels  what the core sees, in words, for errors

    Meshes with grids of one shape go through the core together, whatever their points and cells are.
    """

    def __init__(
        self,
        core: nn.Module,
        widths: dict[str, int],
        time: int | None = None,
        encoders: dict[str, KernelEncoder] | None = None,
        channels: str = "",
    ) -> None:
        super().__init__()
        self.core, self.widths, self.time, self.channels = core, widths, time, channels
        self.encoders = nn.ModuleDict(encoders or {})

    def forward(self, batch: GridSample) -> dict[str, Tensor]:
        """{location: (rows, width)}."""
        shapes = [tuple(shape) for shape in batch.grid_shape.tolist()]
        if len(self.encoders):
            learned = [encoder(batch.around[place]) for place, encoder in self.encoders.items()]
            batch = batch.replace(grid_inputs=torch.cat([batch.grid_inputs, *learned], dim=1))
        if getattr(self.core, "at_places", False):
            return self._at_places(batch, shapes)
        made = self._on_grids(batch, shapes)
        outputs: dict[str, Tensor] = {}
        for (location, width), part in zip(
            self.widths.items(), made.split(list(self.widths.values()), dim=1), strict=True
        ):
            if location == "global":
                outputs[location] = self._mean(part, batch, shapes, width)
            else:
                shares = batch.shares[location].to(part.dtype)
                outputs[location] = ops.neighbor_sum(part, batch.sampling[location], shares)
        return outputs

    def _on_grids(self, batch: GridSample, shapes: list[tuple[int, ...]]) -> Tensor:
        """(n_nodes, width): what the core says at the nodes."""
        if len(set(shapes)) == 1:
            return self._rows(batch.grid_inputs, batch.global_inputs, shapes[0])
        tables = batch.grid_inputs.split([prod(shape) for shape in shapes])
        made: list[Tensor] = [batch.grid_inputs] * len(shapes)
        for shape in dict.fromkeys(shapes):
            mine = [i for i, other in enumerate(shapes) if other == shape]
            numbers = torch.tensor(mine, device=batch.global_inputs.device)
            values = batch.global_inputs.index_select(0, numbers)
            rows = self._rows(torch.cat([tables[i] for i in mine]), values, shape)
            for i, part in zip(mine, rows.split(prod(shape)), strict=True):
                made[i] = part
        return torch.cat(made)

    def _rows(self, table: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
        """(n_nodes, width) from the rows of grids of one shape and the global inputs of their meshes."""
        images = _images(table, values, shape)
        time = None if self.time is None else values[:, self.time].to(images)
        made = call_core(self.core, images, time, self.channels)
        return _rows(check_images(self.core, made, sum(self.widths.values()), images))

    def _mean(self, part: Tensor, batch: GridSample, shapes: list[tuple[int, ...]], width: int) -> Tensor:
        weighted = part * batch.grid_weights.to(part.dtype)[:, None]
        if len(set(shapes)) == 1:
            return weighted.reshape(len(shapes), -1, width).sum(1)
        return torch.stack([table.sum(0) for table in weighted.split([prod(shape) for shape in shapes])])

    def _at_places(self, batch: GridSample, shapes: list[tuple[int, ...]]) -> dict[str, Tensor]:
        tables = batch.grid_inputs.split([prod(shape) for shape in shapes])
        images = [
            _images(table, batch.global_inputs[i : i + 1], shape)
            for i, (table, shape) in enumerate(zip(tables, shapes, strict=True))
        ]
        codes = (
            self.core.encode(_images(batch.grid_inputs, batch.global_inputs, shapes[0]))  # type: ignore[operator]
            if len(set(shapes)) == 1
            else torch.cat([self.core.encode(image) for image in images])  # type: ignore[operator]
        )
        places = {"point": batch.point_places, "cell": batch.cell_places, "global": None}
        return {
            location: self.core.decode(codes, location, places[location], batch.mesh_index(location))  # type: ignore[operator]
            for location in self.widths
        }


def _images(table: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """(n_meshes, channels, *shape) from rows of nodes, global values repeated at every node."""
    images = table.reshape(-1, *shape, table.shape[1]).movedim(-1, 1)
    if not values.shape[1]:
        return images
    spread = values.reshape(*values.shape, *[1] * len(shape)).expand(-1, -1, *shape)
    return torch.cat([images, spread.to(images.dtype)], dim=1)


def _rows(images: Tensor) -> Tensor:
    """(n_nodes, width) from (n_meshes, width, *shape)."""
    return images.movedim(1, -1).reshape(-1, images.shape[1])
