"""Every script in examples/ runs, in an empty folder, and its asserted number holds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_example(script, tmp_path):
    assert "\nassert " in script.read_text(), f"{script.name} asserts no number"
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert not list(tmp_path.iterdir()), "examples leave nothing behind"
    if done.stdout.startswith("skipped"):
        pytest.skip(done.stdout.strip())
