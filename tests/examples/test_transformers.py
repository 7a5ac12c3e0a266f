"""A Trainer of Hugging Face's, ``compute_loss`` untouched, on subsets by two changed lines."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tune_select import SubsetHistory

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")
pytestmark = pytest.mark.filterwarnings("ignore")


def data(size: int, seed: int) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(5, 60, (size, 12), generator=generator)
    labels = (tokens < 20).sum(1) % 3
    return [
        {"input_ids": row, "attention_mask": torch.ones_like(row), "labels": int(label)}
        for row, label in zip(tokens, labels, strict=True)
    ]


def make_model() -> Any:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=60, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, num_labels=3, max_position_embeddings=16,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


def trainer_for(folder: Path, subsets: dict[str, Any], **given: Any) -> Any:
    from tune_select.integrations.transformers import SubsetTrainer

    arguments = transformers.TrainingArguments(
        output_dir=str(folder), num_train_epochs=4, per_device_train_batch_size=8,
        eval_strategy="epoch", save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True,
        logging_strategy="no", learning_rate=5e-3,
    )  # fmt: skip
    return SubsetTrainer(
        args=arguments,
        train_dataset=data(120, 0),
        eval_dataset=data(40, 1),
        compute_metrics=lambda p: {
            "accuracy": float((p.predictions.argmax(1) == p.label_ids).mean())
        },
        subsets=subsets,
        **(given or {"model": make_model()}),
    )


def test_the_trainer_trains_seed_and_replay_by_two_lines(tmp_path: Path) -> None:
    selection = {"select_every": 2, "fraction": 0.2}
    config = {"history": str(tmp_path / "history"), "selection": selection}
    seed = trainer_for(tmp_path, {**config, "arm": "seed"})
    seed.train()
    history = SubsetHistory.load(tmp_path / "history")
    assert history.complete
    assert seed.sampler.report()["history_complete"]
    assert seed.state.global_step == 4 * 3
    # The head is the classifier, not BERT's pooler or what is registered last.
    assert history.intervals[0].gradient_error < history.intervals[0].random_gradient_error
    replay = trainer_for(tmp_path, {**config, "arm": "cached"})
    replay.train()
    assert replay.state.global_step == 4 * 3
    assert replay.sampler.report()["examples_seen"] == 4 * 24
    assert "history_published" not in replay.sampler.report()


def test_the_readmes_loop_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.examples import transformers_loop

    monkeypatch.chdir(tmp_path)
    losses = transformers_loop.main()
    assert all(loss < 2 for loss in losses)
    assert SubsetHistory.load(tmp_path / "history").complete


def test_a_warm_start_counts_its_steps(tmp_path: Path) -> None:
    selection = {"select_every": 2, "fraction": 0.2, "warm_start_epochs": 1}
    trainer = trainer_for(tmp_path, {"arm": "random", "selection": selection})
    trainer.train()
    assert trainer.state.global_step == trainer.state.max_steps == 15 + 3 * 3


def test_parts_of_epochs_are_refused(tmp_path: Path) -> None:
    trainer = trainer_for(tmp_path, {"arm": "random"})
    trainer.args.max_steps = 7
    with pytest.raises(ValueError, match="selection counts whole epochs"):
        trainer.train()


def test_a_trial_of_its_own_search_says_what_its_seed_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray.tune
    from transformers.trainer_utils import HPSearchBackend

    reports: list[dict[str, Any]] = []
    monkeypatch.setattr(ray.tune, "report", lambda metrics, **_: reports.append(metrics))
    trainer = trainer_for(tmp_path, {}, model_init=make_model)
    trainer.hp_search_backend = HPSearchBackend.RAY
    trainer.compute_objective = transformers.trainer_utils.default_compute_objective
    trainer.hp_name = None
    selection = {"select_every": 2, "fraction": 0.2}
    trial = {"arm": "seed", "history": str(tmp_path / "history"), "selection": selection,
             "learning_rate": 1e-3, "seed": 0, "configuration": 0}  # fmt: skip
    trainer.train(trial=trial)
    assert [report["history_published"] for report in reports] == [1, 1, 2, 2]
    assert [report["epoch"] for report in reports] == [1, 2, 3, 4]
    assert reports[-1]["history_complete"]
    assert trainer.args.learning_rate == 1e-3
    # The default objective sums what was measured, and nothing of the sampler's.
    assert all(0 <= report["objective"] <= 1 for report in reports)


@pytest.mark.slow
def test_its_own_search_runs_seed_and_replays() -> None:
    from ray import tune

    from tests.tune_select.ray_session import ray_session
    from tune_select import HistoryStore, SeedReplayScheduler, seed_first

    with ray_session() as folder, HistoryStore.start("hf") as store:
        search, space = seed_first(
            None,
            space={
                "learning_rate": tune.grid_search([1e-3, 5e-3]),
                "history": store.location(f"{folder}/history"),
                "selection": {"select_every": 2, "fraction": 0.2},
            },
            seed_configs=[{"arm": "seed", "learning_rate": 5e-3}],
            arms=["cached"],
        )
        trainer = trainer_for(Path(folder), {}, model_init=make_model)
        best = trainer.hyperparameter_search(
            backend="ray", direction="maximize", hp_space=lambda trial: space, n_trials=1,
            compute_objective=lambda metrics: metrics["eval_accuracy"], search_alg=search,
            scheduler=SeedReplayScheduler(), storage_path=folder, verbose=0,
        )  # fmt: skip
        trials = best.run_summary.trials
        assert sorted(trial.config["arm"] for trial in trials) == ["cached", "cached", "seed"]
        assert SubsetHistory.load(f"{folder}/history").complete
        assert {trial.status for trial in trials} == {"TERMINATED"}


def test_what_a_loss_collects_for_the_log_holds_no_looks_of_a_selection() -> None:
    from tune_select.integrations.transformers import SubsetMixin

    trainer = SimpleNamespace(
        model=None, collected={"train": [1.0]}, compute_loss_context_manager=nullcontext,
        _prepare_inputs=lambda batch: batch,
    )  # fmt: skip

    def compute_loss(model: Any, inputs: torch.Tensor) -> torch.Tensor:
        trainer.collected["train"].append(2.0)
        return inputs.mean()

    trainer.compute_loss = compute_loss
    mixin: Any = SubsetMixin
    assert float(mixin._selection_loss(trainer, torch.ones(2))) == 1.0
    assert trainer.collected == {"train": [1.0]}
