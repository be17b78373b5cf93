"""Learn the temperature of heated plates from their shape and heat source, in less than a minute."""

import tempfile

import meshlearn as ml

with tempfile.TemporaryDirectory() as folder:
    ml.sim.make_plates(60, folder, physics="poisson", size=(9.0, 11.0), seed=1)
    meshes = list(ml.read_many(folder))

train, test = ml.split(meshes, test=0.2, seed=0)
inputs, outputs = ["source", "hole_distance", "conductivity"], ["temperature"]
model = ml.MeshGraphNet(inputs, outputs, hidden=32, steps=2, boundary_sets=["left", "hole_*"])
model.fit(train, epochs=25, learning_rate=4e-3, batch_points=500, ema=0.97, progress=False)

network = model.score(test)["temperature"]
neighbor = ml.NearestNeighbor(inputs, outputs).fit(train).score(test)["temperature"]
print(f"relative L2 on {len(test)} unseen plates: network {network:.3f}, nearest neighbour {neighbor:.3f}")
assert network < 0.8 * neighbor
