"""`make-data cavity`, `burgers-waves`, `vorticity`, `chaos` … write trajectories that can be read again."""

import meshlearn as ml
from meshlearn.cli.app import run

KINDS = {
    "burgers-waves": ("burgers_waves", ["--resolution", "16", "--set", "reference=1"], 3),
    "cavity": ("cavity", ["--resolution", "4", "--set", "substeps=1"], 3),
    "tube": ("tube", ["--resolution", "4", "--set", "length=2"], 3),
    "dam": ("dam", ["--size", "0.9", "--set", "substeps=1"], 3),
    "vorticity": ("vorticity", ["--resolution", "8", "--set", "forced=false"], 3),
    "shallow-water": ("shallow_water", ["--size", "0.2", "--set", "pillar=true"], 3),
    "chaos": ("kuramoto_sivashinsky", ["--resolution", "16", "--set", "start=2", "--set", "length=20"], 3),
}


def test_flows_in_boxes_and_chaos_are_written(tmp_path, capsys):
    for kind, (prefix, options, frames) in KINDS.items():
        folder = tmp_path / kind
        assert run(["make-data", kind, str(folder), "--n", "1", "--frames", "2", *options]) == 0
        assert len(ml.read(folder / f"{prefix}_0000.mesh.safetensors")) == frames
        assert "wrote 1 trajectories" in capsys.readouterr().out


def test_wrong_settings_of_motion_are_told(tmp_path, capsys):
    assert run(["make-data", "vorticity", str(tmp_path / "none"), "--n", "1", "--set", "viscosty=1"]) == 2
    assert "did you mean 'viscosity'" in capsys.readouterr().err
    assert run(["make-data", "cavity", str(tmp_path / "none"), "--n", "1", "--set", "reynolds=-5"]) == 2
    assert "reynolds" in capsys.readouterr().err
