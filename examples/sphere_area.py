"""The area of a faceted sphere approaches 4 pi: a quarter of the error with every refinement."""

import math

import meshlearn as ml

errors = []
for refine in (1, 2, 3, 4):
    sphere = ml.shapes.sphere(refine=refine).double()
    area = sphere.measure().item()
    errors.append(abs(area / (4 * math.pi) - 1))
    print(f"{sphere.n_points:6d} points  area {area:.5f}  error {errors[-1]:.1e}  watertight {sphere.is_watertight}")

rate = math.log2(errors[-2] / errors[-1])
print(f"order of convergence {rate:.2f}")
assert abs(rate - 2) < 0.1
