import uuid

import pandas as pd
import pytest

from tune_select.sweep.config import SweepError
from tune_select.sweep.folder.results_folder import ResultsFolder
from tune_select.sweep.yaml_file import parse_sweep


@pytest.fixture(params=["local", "remote"])
def sweep(request, tmp_path):
    # fsspec's memory filesystem stands for any storage that is not a local folder.
    storage = str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}"
    return parse_sweep({"name": "s", "space": {"a": [1]}, "storage_path": storage})


def test_a_sweep_is_written_once_and_read_back(sweep):
    folder = ResultsFolder.create(sweep)
    assert ResultsFolder.open(folder.location) == folder
    assert parse_sweep(folder.read_sweep()) == sweep
    with pytest.raises(SweepError, match="holds a sweep already"):
        ResultsFolder.create(sweep)


def test_what_is_written_locally_reaches_the_folder(sweep):
    folder = ResultsFolder.create(sweep)
    trials = pd.DataFrame({"trial_id": ["t"], "arm": ["full"]})
    folder.write_tables(trials, trials)
    seen = []

    def work(path):
        seen.append(pd.read_parquet(path / "trials.parquet"))
        (path / "report.html").write_text("<p>fine</p>")

    folder.with_local_copy(work)
    pd.testing.assert_frame_equal(seen[0], trials)
    folder.with_local_copy(lambda path: seen.append((path / "sweep.yaml").exists()))
    assert seen[1]
    assert folder._folder().read("report.html") == b"<p>fine</p>"


def test_a_folder_without_a_sweep_is_named(tmp_path):
    with pytest.raises(SweepError, match=r"holds no sweep\.yaml"):
        ResultsFolder.open(tmp_path)


def test_storage_and_name_are_what_ray_takes(tmp_path):
    config = parse_sweep({"name": "s", "space": {"a": [1]}, "storage_path": str(tmp_path)})
    folder = ResultsFolder.of(config)
    assert (folder.storage_path, folder.name) == (str(tmp_path), "s")
