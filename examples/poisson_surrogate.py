"""Learn the temperature of heated plates from their shape and heat source, in under a minute."""

import tempfile

import meshlearn as ml

with tempfile.TemporaryDirectory() as folder:
    ml.sim.make_plates(60, folder, physics="poisson", size=(7.0, 9.0), seed=1)
    meshes = list(ml.read_many(folder))

train, test = ml.split(meshes, test=0.2, seed=0)
inputs, outputs = ["source", "hole_distance", "conductivity"], ["temperature"]
model = ml.MeshGraphNet(inputs, outputs, hidden=32, steps=2, boundary_sets=["left"])
model.fit(train, epochs=60, learning_rate=3e-3, progress=False)

network = model.score(test)["temperature"]
mean = ml.MeanField(inputs, outputs).fit(train).score(test)["temperature"]
print(f"relative L2 on {len(test)} unseen plates: network {network:.3f}, mean field {mean:.3f}")
assert network < 0.5 * mean
