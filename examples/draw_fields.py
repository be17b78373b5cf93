"""Pictures of a solved plate, its boundary names, and a solid."""

import tempfile
from pathlib import Path

import meshlearn as ml

(plate,) = ml.sim.make_plates(1, seed=7, size=3.0)
solid = ml.shapes.cylinder()
solid = solid.with_point_data(height=solid.points[:, 2])

with tempfile.TemporaryDirectory() as folder:
    pictures = Path(folder)
    plate.plot("von_mises", file=pictures / "stress.png", title="von Mises stress (MPa)")
    plate.plot(tags=True, file=pictures / "boundaries.png")
    solid.plot("height", file=pictures / "solid.png", backend="matplotlib")
    sizes = {path.name: path.stat().st_size for path in sorted(pictures.iterdir())}

print(sizes)
assert len(sizes) == 3
assert min(sizes.values()) > 10_000
