"""Notched specimens that yield: fields with error bands from 60 simulations, each on a mesh of its own.

`ml.MMGP` morphs every specimen to a disc and regresses modes of the fields; it is compared with ridge regression, the
nearest specimen and the mean field, its bands are counted, and it is asked about a shape it was not trained on.
About a minute on one core.
"""

import torch

import meshlearn as ml

specimens = ml.sim.make_tensile(75, size=0.08, seed=0)
train, test = specimens[:60], specimens[60:]
inputs = ["load", "young", "yield_stress", "hardening", "saturation", "rate"]
outputs = ["U1", "U2", "sigma22", "max_U2"]

model = ml.MMGP(inputs, outputs).fit(train)
scores = {"MMGP": model.score(test)}
for baseline in (ml.RidgeRegression(inputs, outputs, degree=2), ml.NearestNeighbor(inputs, outputs)):
    scores[type(baseline).__name__] = baseline.fit(train).score(test)
scores["MeanField"] = ml.MeanField(inputs, outputs).fit(train).score(test)
print(f"relative L2 on {len(test)} unseen specimens, learned from {len(train)}:")
for name, score in scores.items():
    print(f"  {name:16s}" + "  ".join(f"{field} {value:.4f}" for field, value in score.items()))
print("  left out in training", {name: round(score, 4) for name, score in model.cv_score_.items()})
print("  floors", {name: {k: round(v, 4) for k, v in floor.items()} for name, floor in model.floors_.items()})

inside = []
for mesh in test:
    predicted = model.predict(mesh, return_std=True)
    error = (predicted.point_data["U2"] - mesh.point_data["U2"]).abs()
    inside.append((error <= 1.96 * predicted.point_data["U2_std"]).double().mean())
coverage = float(torch.stack(inside).mean())
print(f"U2 lies in its 95 % band at {coverage:.1%} of the points")

(wedge,) = ml.sim.make_tensile(1, size=0.08, notch="wedge")
width = {
    name: float(model.predict(m, return_std=True).point_data["U2_std"].mean())
    for name, m in (("circle", test[0]), ("wedge", wedge))
}
print(
    f"a wedge instead of a circle: novelty {model.novelty(wedge):.1f} against {model.novelty(test[0]):.1f}, "
    f"bands {width['wedge'] / width['circle']:.1f} times as wide"
)

assert scores["MMGP"]["U2"] < 0.5 * scores["RidgeRegression"]["U2"]
assert 0.8 < coverage <= 1.0
assert width["wedge"] > width["circle"]
