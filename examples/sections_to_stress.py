"""From slices to stresses: sections of a bone-like solid become a closed surface, tetrahedra, and a compression test.

The sections (assets/bone.csl, in mm) show a cavity. The solid stands on its lower end and carries 500 N on the upper
one; Young's modulus is 17 GPa. Checked are the volume of the solid against that of the surface, and the mean stress
across the shaft against force over area.
"""

from pathlib import Path

import torch

import meshlearn as ml

sections = ml.CrossSections.read(Path(__file__).resolve().parents[1] / "assets" / "bone.csl")
model = ml.CrossSectionReconstructor(time_budget=None, base="rbf", centres=1200, network=False).fit(sections)

surface = model.to_mesh(resolution=64)
print(f"surface: {surface.n_cells} triangles, watertight {surface.is_watertight}, {surface.volume() / 1000:.1f} cm³")
print(f"Euler characteristic {surface.topology.euler_characteristic} (outside and cavity: 4)")

solid = model.to_solid(resolution=28)
facets = solid.topology.boundary_facets["triangle"]
centres = solid.points[facets].mean(1)
low, high = solid.bounding_box()[:, 2]
ends = {
    "foot": (centres[:, 2] < low + 3.0).nonzero().squeeze(1),
    "head": (centres[:, 2] > high - 3.0).nonzero().squeeze(1),
}
solid = solid.replace(
    cells={**solid.cells, "triangle": facets}, cell_sets={name: {"triangle": rows} for name, rows in ends.items()}
)
corners = solid.points[facets[ends["head"]]]
normals = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
force = 500.0
traction = (0.0, 0.0, -force / float(normals.norm(dim=1).sum()))  # N / mm² = MPa

loaded = ml.sim.elasticity(solid, young=17000.0, poisson=0.3, fixed={"foot": 0.0}, traction={"head": traction}, order=1)
middle = loaded.points[:, 2].abs() < 6.0
stress = float(loaded.point_data["stress"][middle, 2].mean())
at_middle = next(plane for plane in sections if abs(plane.normal[2]) > 0.99 and abs(plane.origin[2]) < 3)
expected = -force / at_middle.areas[1]
sinks = -float(loaded.point_data["displacement"][:, 2].min())
print(f"solid: {solid.n_cells} tetrahedra, head sinks by {1000 * sinks:.1f} µm")
print(f"mean stress in the shaft {stress:.2f} MPa, force over area {expected:.2f} MPa")

assert surface.is_watertight
assert abs(float(solid.measure() / surface.volume()) - 1) < 0.05
assert abs(stress / expected - 1) < 0.15
