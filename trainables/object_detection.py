"""Object detection: the trainable that ``tune.Tuner`` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from trainables.base import SelectionTrainable
from trainables.detection.data import describe_detection, load_detection
from trainables.detection.evaluation import BACKENDS
from trainables.detection.histograms import (
    HISTOGRAM_FILE,
    histogram_rows,
    matching_parameters,
    parameter_histograms,
)
from trainables.detection.models import SSD_RECIPES, build_ssd
from trainables.detection.settings import DetectionSettings
from trainables.detection.task import ObjectDetectionTask
from trainables.models.weights import DEFAULT
from trainables.settings.trial import TrialSettings
from trainables.tasks.task import Task
from tune_select.wording import not_among


class ObjectDetection(SelectionTrainable):
    """Trains an SSD on the arm's pictures; see ``trainables/detection/README.md`` for its keys.

    The defaults are those of Cai et al., section 5.2 (Nvidia's SSD300 v1.1 at batch size 32).
    """

    metric: ClassVar[str] = ObjectDetectionTask.metric
    data_settings: ClassVar[type[DetectionSettings]] = DetectionSettings
    defaults: ClassVar[Mapping[str, Any]] = {
        "model": "ssd300",
        "learning_rate": 2.6e-3,
        "batch_size": 32,
        "max_epochs": 30,
        "schedule": "multi_step",
        "milestones": (2 / 3, 5 / 6),
        "gamma": 0.1,
        "warmup_epochs": 1,
        "data": {"name": "shapes"},
        "backbone_weights": None,
        "alpha": 1.0,
        "selection_alpha": None,
        "projection_dim": 2048,
        "evaluator": "auto",
        "histograms": (),
    }
    task: ObjectDetectionTask
    _watched: dict[str, nn.Parameter]

    @classmethod
    def load_dataset(cls, config: Mapping[str, Any]) -> Any:
        """The data set that ``data`` names, to be shared with ``tune.with_parameters``."""
        return load_detection(config.get("data", cls.defaults["data"]))

    @classmethod
    def describe(cls, dataset: Any) -> list[str]:
        """Lines for people on a loaded data set."""
        return describe_detection(dataset)

    @classmethod
    def check(cls, config: Mapping[str, Any], dataset: Any = None) -> TrialSettings:
        """As the base class; also the keys of detection."""
        settings = super().check(config, dataset)
        _check(settings)
        return settings

    def step(self) -> dict[str, Any]:
        """Train one epoch; record the histograms that were asked for."""
        report = super().step()
        if self._watched and report["waiting_for_interval"] < 0:
            histograms = parameter_histograms(self._watched, report["epoch"])
            self.record(HISTOGRAM_FILE, histogram_rows(histograms))
        return report

    def make_task(self, settings: TrialSettings, dataset: Any, device: torch.device) -> Task:
        """The detector on its data set."""
        _check(settings)
        own, statistics = settings.extra, {}
        if own["backbone_weights"] is None:
            statistics = {"pixel_mean": dataset.pixel_mean, "pixel_std": dataset.pixel_std}
        model = build_ssd(
            settings.model, dataset.train.class_count, weights=own["backbone_weights"], **statistics
        )
        self._watched = matching_parameters(model, own["histograms"])
        return ObjectDetectionTask(
            model,
            dataset,
            device,
            feed=DetectionSettings.of(settings.data),
            alpha=own["alpha"],
            selection_alpha=own["selection_alpha"],
            projection_dim=own["projection_dim"],
            evaluator=own["evaluator"],
        )


def _check(settings: TrialSettings) -> None:
    """Refuse values that only detection knows, before a trial spends time on them."""
    own = settings.extra
    if settings.model not in SSD_RECIPES:
        raise ValueError(not_among("model", settings.model, sorted(SSD_RECIPES)))
    if settings.model_settings:
        raise ValueError(
            f"model_settings={dict(settings.model_settings)!r}: detectors take none; the weights "
            "of the backbone go into backbone_weights"
        )
    if settings.weights == DEFAULT:
        raise ValueError(
            "weights: default is not published for detectors here: give a file, or the weights of "
            "the backbone alone in backbone_weights"
        )
    for key in ("alpha", "selection_alpha"):
        value = own[key]
        missing = value is None and key == "selection_alpha"
        if not missing and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e6
        ):
            raise ValueError(f"{key} must be a number of at least 0, got {value!r}")
    dim = own["projection_dim"]
    if dim is not None and (isinstance(dim, bool) or not isinstance(dim, int) or dim < 2):
        raise ValueError(
            f"projection_dim must be an integer of at least 2, or null for the gradients "
            f"themselves, got {dim!r}"
        )
    if own["evaluator"] not in BACKENDS:
        raise ValueError(not_among("evaluator", own["evaluator"], BACKENDS))
    patterns = own["histograms"]
    if not isinstance(patterns, list | tuple) or not all(
        isinstance(pattern, str) for pattern in patterns
    ):
        raise ValueError(f"histograms must be a list of parameter names, got {patterns!r}")
    DetectionSettings.of(settings.data)
