import subprocess
import sys
from pathlib import Path

from tests.analysis.hand_sweep import write_hand_sweep

ROOT = Path(__file__).parents[2]

PROGRAM = """
import importlib.abc
import sys

ABSENT = ("ray", "torch", "tune_select", "trainables", "search_spaces", "mlflow", "optuna")

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)

sys.meta_path.insert(0, Absent())
import analysis
analysis.write_report(sys.argv[1], resamples=100)
analysis.compare([sys.argv[1]], sys.argv[2], resamples=100)
assert not set(ABSENT) & set(sys.modules)
"""


def test_analysis_runs_where_ray_and_torch_are_not_installed(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path / "sweep")
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert (folder / "report.html").exists()
    assert (tmp_path / "out" / "comparison.html").exists()
