from pathlib import Path

from tests.absent import run_without
from tests.analysis.hand_sweep import write_hand_sweep

ABSENT = ("ray", "torch", "tune_select", "trainables", "search_spaces", "mlflow", "optuna")

PROGRAM = """
import analysis
analysis.write_report(sys.argv[1], resamples=100)
analysis.compare([sys.argv[1]], sys.argv[2], resamples=100)
assert not set(ABSENT) & set(sys.modules)
"""


def test_analysis_runs_where_ray_and_torch_are_not_installed(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path / "sweep")
    run_without(ABSENT, PROGRAM, folder, tmp_path / "out")
    assert (folder / "report.html").exists()
    assert (tmp_path / "out" / "comparison.html").exists()
