"""Reusable Ray Tune trainables around one Ray-free training loop.

The public names are imported on first use, so that ``trainables.loop`` and ``trainables.tasks`` can
be used where Ray is not installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainables.base import SelectionTrainable as SelectionTrainable
    from trainables.data.identity import DatasetIdentity as DatasetIdentity
    from trainables.image_classification import ImageClassification as ImageClassification
    from trainables.language_model import LanguageModel as LanguageModel
    from trainables.object_detection import ObjectDetection as ObjectDetection
    from trainables.tabular_regression import TabularRegression as TabularRegression
    from trainables.tasks.datasets import DatasetTask as DatasetTask
    from trainables.tasks.task import Batch as Batch
    from trainables.tasks.task import Task as Task
    from trainables.tasks.tensors import TensorTask as TensorTask
    from trainables.text_classification import TextClassification as TextClassification

_HOMES = {
    "Batch": "trainables.tasks.task",
    "DatasetIdentity": "trainables.data.identity",
    "DatasetTask": "trainables.tasks.datasets",
    "ImageClassification": "trainables.image_classification",
    "LanguageModel": "trainables.language_model",
    "ObjectDetection": "trainables.object_detection",
    "SelectionTrainable": "trainables.base",
    "TabularRegression": "trainables.tabular_regression",
    "Task": "trainables.tasks.task",
    "TensorTask": "trainables.tasks.tensors",
    "TextClassification": "trainables.text_classification",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'trainables' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
