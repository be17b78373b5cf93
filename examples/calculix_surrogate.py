"""Learn the deflection of cantilever beams that CalculiX computed; needs the solver ccx (package calculix-ccx)."""

import random
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import torch

import meshlearn as ml

if shutil.which("ccx") is None:
    print("skipped: the solver ccx is not installed (Debian and Ubuntu: apt-get install calculix-ccx)")
    sys.exit(0)

DECK = """*INCLUDE, INPUT={name}_mesh.inp
*MATERIAL, NAME=steel
*ELASTIC
210000., 0.3
*SOLID SECTION, ELSET=beam, MATERIAL=steel
*BOUNDARY
fixed, 1, 3
*STEP
*STATIC
*CLOAD
loaded, 3, {force}
*NODE FILE
U
*END STEP
"""


def compute(folder, name, length, height, load):
    """A beam of `length` x 10 x `height` mm, held at x = 0; `load` N in z are shared by the points of its end."""
    box = ml.shapes.box(length, 10.0, height, n=(10, 1, 2), order=2).double()
    ends = {"fixed": "left", "loaded": "right"}
    beam = box.replace(
        cells={"tetra10": box.cells["tetra10"]},
        point_sets={
            name: box.cells["triangle6"][box.cell_sets[side]["triangle6"]].unique() for name, side in ends.items()
        },
        cell_sets={"beam": {"tetra10": torch.arange(box.n_cells)}},
    )
    ml.write(beam, folder / f"{name}_mesh.inp")
    (folder / f"{name}.inp").write_text(DECK.format(name=name, force=load / len(beam.point_sets["loaded"])))
    done = subprocess.run(["ccx", name], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert (folder / f"{name}.frd").exists(), done.stdout


draw = random.Random(0).uniform
loads = [draw(50.0, 200.0) for _ in range(24)]
with tempfile.TemporaryDirectory() as made:
    folder = Path(made)
    for k, load in enumerate(loads):
        compute(folder, f"beam_{k:02d}", draw(60.0, 120.0), draw(8.0, 16.0), load)
    decks, results = ml.read_many(folder / "*_mesh.inp"), ml.read_many(folder / "*.frd")
    beams = [
        result.replace(point_sets=deck.point_sets).with_global_data(load=torch.tensor(load))
        for deck, result, load in zip(decks, results, loads, strict=True)
    ]

train, test = beams[:18], beams[18:]
names, sets = (["load"], ["DISP"]), ["fixed"]
networks = []
for seed in range(3):  # 18 beams are few: the spread between seeds is part of the answer
    model = ml.MeshGraphNet(*names, hidden=24, steps=2, levels=3, boundary_sets=sets)
    model.fit(train, epochs=40, learning_rate=4e-3, batch_points=1000, seed=seed, progress=False)
    networks.append(model.score(test)["DISP"])
ridges = [ml.RidgeRegression(*names, degree=k, boundary_sets=sets).fit(train).score(test)["DISP"] for k in (2, 3)]
mean = ml.MeanField(*names).fit(train).score(test)["DISP"]
print(f"displacement of {len(test)} unseen beams, relative L2 (learned from {len(train)}):")
print(f"  network {', '.join(f'{score:.3f}' for score in networks)} (three seeds)")
print(f"  ridge regression {ridges[0]:.3f} (degree 2), {ridges[1]:.3f} (degree 3), mean field {mean:.3f}")

prediction = model.predict(test[0])
with tempfile.TemporaryDirectory() as made:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ml.MeshWriteWarning)  # .frd has six digits and no sets
        ml.write(prediction, Path(made) / "beam.frd")  # for CalculiX GraphiX
    ml.write(prediction, Path(made) / "beam.vtu")  # for ParaView
    back = ml.read(Path(made) / "beam.frd").point_data["DISP"]
assert torch.allclose(back, prediction.point_data["DISP"].to(back), rtol=1e-4, atol=1e-6)
assert sum(networks) / 3 < min(ridges) < mean
