from pathlib import Path

from tune_select.tracking import headline_metrics


def test_the_report_s_numbers_by_arm(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "arms.csv").write_text(
        "arm,trials,best,mean,waited_speedup,speedup,total_s,note\n"
        "cached,8,0.97,0.81,9.5,13.2,16.1,x\nfull,8,0.98,,1.0,1.0,nan,y\n"
    )
    (tmp_path / "tables" / "choosing.csv").write_text("arm,tau,regret\ncached,0.79,0.008\n")
    (tmp_path / "tables" / "answer.csv").write_text(
        "strategy,test,wall_s,difference\nladder,0.9,60.0,\nasha,0.8,90.0,0.1\n"
    )
    (tmp_path / "tables" / "replayed.csv").write_text(
        "strategy,by,cost_seconds,regret,regret_low,shown\n"
        "HyperBand,loss,0.2,0.01,,True\nHyperBand,metric,0.2,0.02,,False\n"
    )
    assert headline_metrics(tmp_path) == {
        "replayed/HyperBand by loss/cost_seconds": 0.2,
        "replayed/HyperBand by loss/regret": 0.01,
        "ladder/test": 0.9,
        "ladder/wall_s": 60.0,
        "asha/test": 0.8,
        "asha/wall_s": 90.0,
        "asha/own_choice_better_by": 0.1,
        "cached/best": 0.97,
        "cached/mean": 0.81,
        "cached/waited_speedup": 9.5,
        "cached/papers_speedup": 13.2,
        "cached/slot_s": 16.1,
        "full/best": 0.98,
        "full/waited_speedup": 1.0,
        "full/papers_speedup": 1.0,
        "cached/kendall_tau": 0.79,
        "cached/regret": 0.008,
    }


def test_the_wall_clock_is_what_the_caller_counted(tmp_path: Path) -> None:
    assert headline_metrics(tmp_path, 65.0) == {"sweep/wall_s": 65.0}


def test_a_folder_without_a_report_has_none(tmp_path: Path) -> None:
    assert headline_metrics(tmp_path) == {}
