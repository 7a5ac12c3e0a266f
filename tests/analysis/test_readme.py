import re
from pathlib import Path

import matplotlib as mpl
import pytest

from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.synthetic import GRID, Sweep

README = Path(__file__).parents[2] / "analysis" / "README.md"


def test_the_readmes_code_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mpl.use("agg")
    monkeypatch.chdir(tmp_path)
    Sweep(grid=GRID[:3], seeds=(0,), name="digits").write(tmp_path / "results" / "digits")
    for name in ("at-5", "at-10", "at-30"):
        write_hand_sweep(tmp_path / "results" / name)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    assert len(blocks) == 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    assert (tmp_path / "comparison" / "comparison.html").exists()
    import matplotlib.pyplot as plt

    assert plt.get_fignums()
    plt.close("all")
