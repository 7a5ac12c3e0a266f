from itertools import combinations
from pathlib import Path

import pytest

from analysis import ReportOptions, write_report
from tests.analysis.hand_sweep import SECONDS, write_hand_sweep
from tests.analysis.synthetic import Sweep

ARMS = tuple(SECONDS)


@pytest.mark.parametrize(
    "arms", [a for k in (1, 2, 5) for a in combinations(ARMS, k) if "seed" in a or k == 1]
)
def test_any_set_of_arms_gives_a_report(tmp_path: Path, arms: tuple[str, ...]) -> None:
    page = write_report(write_hand_sweep(tmp_path, arms), resamples=100)
    text = page.read_text(encoding="utf-8")
    assert page == tmp_path / "report.html"
    assert ("no speed-up over it can be said" in text) == ("full" not in arms)
    assert (tmp_path / "tables" / "arms.csv").exists()


def test_every_user_string_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    sweep = Sweep(
        grid=[{evil: f"{evil}{i}"} for i in range(2)],
        name=evil,
        dataset=evil,
        model=evil,
        seeds=(0,),
    )
    text = write_report(sweep.write(tmp_path), resamples=100).read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert text.count("<script") == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("price_per_hour", -1.0), ("price_per_hour", float("nan")), ("level", 1.0), ("top_k", 0)],
)
def test_options_out_of_range_name_themselves(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        ReportOptions(**{field: value})
