import fnmatch
import importlib.resources
import re
from pathlib import Path

import pytest
from optuna.trial import FixedTrial

import search_spaces
from tune_select.secrets import mask_settings
from tune_select.sweep.ladder import rival_search
from tune_select.sweep.outlook.budget import training_budget
from tune_select.sweep.plan import make_plan
from tune_select.sweep.validation import preflight_sweep, validate_sweep
from tune_select.sweep.yaml_file import load_sweep

SWEEPS = sorted(
    str(path)
    for path in importlib.resources.files("search_spaces").iterdir()
    if path.name.endswith(".yaml")
)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.rsplit("/", 1)[1])
def test_every_shipped_sweep_is_valid_and_keeps_the_baselines(path):
    plan = make_plan(load_sweep(path))
    selectors = {plan.config.selector_of(arm) for arm in plan.config.arm_names()}
    # No result stands alone: full training and random subsets of the same size are always there.
    assert "full" in selectors
    # A ladder by epochs trains on no subset: there the search at random stands beside it.
    rivals = {rival.name for rival in plan.config.rival_searches()}
    assert (selectors | rivals) & {"random", "random_pb", "uniform"}


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.rsplit("/", 1)[1])
def test_the_header_says_what_the_sweep_will_train(path):
    """Counted from the plan: a repeated baseline or an evaluation too many changes the number."""
    budget = training_budget(make_plan(load_sweep(path)))
    assert f"# Budget: at most {budget}." in Path(path).read_text("utf-8").splitlines()


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.rsplit("/", 1)[1])
def test_every_shipped_sweep_validates_without_its_data(path, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # where ~/data is not
    monkeypatch.delenv("TUNE_SELECT_DATA", raising=False)
    validate_sweep(load_sweep(path), data=False)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.rsplit("/", 1)[1])
def test_every_shipped_sweep_says_when_it_evaluates(path):
    config = load_sweep(path)
    said = "evaluation" in config.model_fields_set
    assert said, "add evaluation: {share: 0.1}, or {every: 1, test: every} where curves are read"
    assert config.tune.ladder is not None or "eval_every" not in config.train
    # Fixed-accuracy speed-ups and times to an error are read off the test curve, nothing else is.
    of_curves = ("cai_table1", "cai_table2", "cai_table3", "time_to_error", "small_time_to_error")
    of_curves += ("selectivity", "small_selectivity", "architectures", "small_architectures")
    needs_curve = path.rsplit("/", 1)[1].startswith(of_curves)
    # The arms of views stand for rungs, which look at the validation split alone.
    of_rungs = path.rsplit("/", 1)[1].startswith("views")
    assert config.evaluation.test == ("every" if needs_curve else "never" if of_rungs else "last")


def test_the_sweeps_of_views_on_pictures_differ_in_their_data_alone():
    """One table over three data sets compares data, not settings."""
    views = [load_sweep(path) for path in SWEEPS if "/views_" in path and "sst2" not in path]
    assert len(views) == 3
    own = {"name": None, "data": None}
    settings = [view.model_dump(exclude={"name", "data"}) | own for view in views]
    for one in settings:
        one["train"].pop("model_settings")  # pictures in colour get twice the channels
    assert settings[0] == settings[1] == settings[2]
    assert len({view.data["name"] for view in views}) == 3


@pytest.mark.parametrize("name", ["cifar10", "fashion_mnist", "sst2"])
def test_the_live_ladders_stand_beside_the_same_rivals(name):
    config = load_sweep(next(path for path in SWEEPS if path.endswith(f"/ladder_{name}.yaml")))
    rivals = [rival.name for rival in config.rival_searches()]
    assert rivals == ["asha", "asha_4", "hyperband", "optuna_asha", "random"]
    assert config.tune.num_samples >= 27
    plan = make_plan(config)
    for rival in config.rival_searches()[:3]:  # they are looked at whenever they decide
        space = rival_search(plan, rival)[1]
        assert min(space["evaluation"]["milestones"]) <= 2
    assert config.evaluation.every == config.train["max_epochs"]  # and at the end


def test_the_seed_of_each_axis_is_a_point_of_the_trial_configuration():
    for name in ("learning_rates", "optimizers", "architectures", "mixed", "digits"):
        assert getattr(search_spaces, name)()


def test_the_define_by_run_space_narrows_the_rate_by_optimizer():
    trial = FixedTrial({"optimizer": "adam", "learning_rate": 1e-3, "weight_decay": 1e-4})
    search_spaces.define_by_run(trial)
    assert trial.distributions["learning_rate"].high == 3e-2


def test_the_page_of_papers_names_what_is_there():
    """Sweeps (with braces and stars), tests and links exist, and no paper's sweep is left out."""
    root = Path(search_spaces.__file__).parents[1]
    text = (root / "search_spaces" / "PAPERS.md").read_text("utf-8")
    stems = {Path(path).stem for path in SWEEPS}
    named = set()
    for word in re.findall(r"`([a-z0-9_{},*]+)`", text):
        before, braced, after = re.fullmatch(r"([^{]*)(?:\{(.*)\})?([^{}]*)", word).groups()
        for choice in (braced or "").split(","):
            named |= set(fnmatch.filter(stems, f"{before}{choice}{after}"))
    papers = ("killamsetty", "cai_", "time_to_error", "label_noise", "sampling_rates", "balles")
    papers += ("selectivity", "architectures")
    assert {stem for stem in stems if stem.startswith(papers)} <= named
    for path in re.findall(r"`(tests/[\w/.]+)`", text):
        assert (root / path).exists(), path
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (root / "search_spaces" / link).exists(), link


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.rsplit("/", 1)[1])
def test_no_setting_of_ours_is_taken_for_a_secret(path):
    """Or a resume would ask for it, and the report would hide it."""
    settings = load_sweep(path).model_dump(mode="json")
    assert mask_settings(settings) == settings


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["digits", "ladder_digits", "sampling_rates_regression", "shapes_ssd", "shapes_ssd_interrupts"],
)
def test_a_sweep_that_makes_its_own_data_passes_the_whole_preflight(name: str) -> None:
    checked = preflight_sweep(
        load_sweep(next(path for path in SWEEPS if path.endswith(f"/{name}.yaml")))
    )
    assert checked.rehearsal.rows
