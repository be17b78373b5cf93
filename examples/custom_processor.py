"""Any convolution of PyTorch Geometric can pass the messages: here graph attention instead of the default."""

import meshlearn as ml

plates = ml.sim.make_plates(30, size=9.0, holes=(1, 2), seed=2)
train, test = plates[:24], plates[24:]
errors = {}
for processor, options in (("interaction", None), ("GATv2Conv", {"heads": 2, "concat": False})):
    model = ml.MeshGraphNet(
        ["load", "young", "poisson"],
        ["displacement"],
        hidden=24,
        steps=2,
        levels=2,
        processor=processor,
        processor_options=options,
        boundary_sets=["left", "bottom"],
    )
    model.fit(train, epochs=20, learning_rate=5e-3, batch_points=800, progress=False)
    errors[processor] = model.score(test)["displacement"]
    print(f"{processor:12s} relative L2 on unseen plates: {errors[processor]:.3f}")

mean = ml.MeanField([], ["displacement"]).fit(train).score(test)["displacement"]
print(f"{'mean field':12s} relative L2 on unseen plates: {mean:.3f}")
assert max(errors.values()) < 0.9 * mean
