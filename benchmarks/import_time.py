"""Time of `import meshlearn` over `import torch`, in fresh processes.

    python benchmarks/import_time.py

Writes benchmarks/results/import_time.json.
"""

from __future__ import annotations

import subprocess
import sys

from common import write_results

CODE = "import time; import torch; start = time.perf_counter(); {0}; print(time.perf_counter() - start)"
USES = {
    "import meshlearn": "import meshlearn",
    "... and Mesh, read, write": "import meshlearn as ml; ml.Mesh, ml.read, ml.write",
    "... and MeshGraphNet": "import meshlearn as ml; ml.MeshGraphNet",
}


def seconds(code: str) -> float:
    return float(subprocess.run([sys.executable, "-c", CODE.format(code)], capture_output=True, check=True).stdout)


def main() -> None:
    results = {name: min(seconds(code) for _ in range(5)) for name, code in USES.items()}
    for name, value in results.items():
        print(f"{name:28} {value:.3f} s over `import torch`")
    write_results("import_time", {"seconds_over_torch": results, "asked_s": 0.3})


if __name__ == "__main__":
    main()
