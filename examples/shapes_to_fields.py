"""Poisson's equation on unseen shapes: trained on coarse meshes, tested there and with 3.7 times the points."""

import torch

import meshlearn as ml

torch.set_num_threads(1)
shapes = {"roughness": 0.3, "modes": 2, "contrast": 0.0}
coarse = ml.sim.make_stars(32, size=0.2, **shapes)
fine = ml.sim.make_stars(32, size=0.1, **shapes)[24:]  # the same shapes
train, test = coarse[:24], coarse[24:]

model = ml.Enf2Enf(["source", "conductivity"], ["u"], n_latents=8, hidden=32, encoder_hidden=16)
model.fit(train, epochs=30, learning_rate=4e-3, progress=False)

on_coarse, on_fine = model.score(test)["u"], model.score(fine)["u"]
neighbor = ml.NearestNeighbor(["source", "conductivity"], ["u"]).fit(train).score(test)["u"]
points = sum(mesh.n_points for mesh in fine) / sum(mesh.n_points for mesh in test)
print(f"relative L2 on 8 unseen shapes: {on_coarse:.3f}; on meshes with {points:.1f} times the points: {on_fine:.3f}")
print(f"nearest neighbour: {neighbor:.3f}")
assert on_coarse < 0.3 * neighbor
assert on_fine < 0.3 * neighbor  # the coarse solutions, all that it knows, are themselves 2 % off the fine ones
