"""Every Python block of the README and the guide runs as written, page by page, in a folder with a few plates."""

import re
from pathlib import Path

import pytest

import meshlearn as ml

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[str]:
    return BLOCK.findall(page.read_text())


@pytest.fixture(scope="module")
def plates(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plates")
    ml.sim.make_plates(10, folder, holes=1, size=6.0)  # one topology, as MMGP needs it
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda page: page.stem)
def test_every_snippet_runs(page, plates, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").symlink_to(plates)
    namespace: dict = {"__name__": "snippet"}
    for number, code in enumerate(blocks(page)):
        exec(compile(code, f"{page.name}, block {number}", "exec"), namespace)
    capsys.readouterr()
    assert namespace  # a page whose blocks raise never gets here
