"""A small hole in a wide plate under tension triples the stress (Kirsch 1898), on meshes refined at the hole."""

import meshlearn as ml

found = []
for size in (0.5, 0.25):
    plate = ml.sim.Plate(
        corners=((0.0, 0.0), (20.0, 0.0), (20.0, 20.0), (0.0, 20.0)),
        sides=("bottom", "right", "top", "left"),
        holes=((10.0, 10.0, 1.0),),
        size=size,
        load=(1.0, 0.0),
        young=1.0,
        poisson=0.3,
    )
    solved = ml.sim.solve_elasticity(plate)
    found.append(solved.global_data["max_stress"].item())
    print(f"edge length {size:4.2f}: {solved.n_points:5d} points, stress concentration {found[-1]:.3f}")

assert abs(found[-1] - 3.0) < 0.2
