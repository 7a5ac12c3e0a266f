"""What stands under ``data`` is checked in the user's own words, for every trainable alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainables import (
    ImageClassification,
    LanguageModel,
    ObjectDetection,
    TabularRegression,
    TextClassification,
)
from trainables.base import SelectionTrainable
from trainables.data.settings.images import IMAGE_SETS, ImageSettings
from trainables.data.settings.tables import TableSettings
from tune_select.messages import SettingsError

TRAINABLES = [
    ImageClassification,
    LanguageModel,
    ObjectDetection,
    TabularRegression,
    TextClassification,
]
every_trainable = pytest.mark.parametrize("trainable", TRAINABLES)


@every_trainable
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"validation_fracton": 0.1}, "=0.1 is an unknown key; did you mean validation_fraction?"),
        ({"validation_fraction": "some"}, " must be a number in [0, 1), got 'some'"),
        ({"validation_fraction": True}, " must be a number in [0, 1), got True"),
        ({"validation_fraction": float("nan")}, " must be a number in [0, 1), got nan"),
        ({"validation_fraction": [0.1]}, " must be a number in [0, 1), got [0.1]"),
        ({"root": 3}, " must be a text or null, got 3"),
        ({"name": None}, " must be "),
        ({"name": "nowhere"}, " must be "),
    ],
)
def test_a_wrong_key_or_value_is_found_by_the_trials_check(
    trainable: type[SelectionTrainable], data: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        trainable.check({"data": data})
    field, value = next(iter(data.items()))
    assert str(refused.value).startswith(f"data.{field}{message}")
    assert message != " must be " or f"got {value!r}" in str(refused.value)


@every_trainable
def test_all_that_is_wrong_is_said_at_once(trainable: type[SelectionTrainable]) -> None:
    with pytest.raises(SettingsError) as refused:
        trainable.check({"data": {"nme": "x", "validation_fraction": -1}})
    assert [problem.field for problem in refused.value.problems] == [
        "data.validation_fraction",
        "data.nme",
    ]
    with pytest.raises(SettingsError, match="data must be a mapping, got 'digits'"):
        trainable.data_settings.of("digits")  # type: ignore[union-attr,arg-type]


@every_trainable
def test_numbers_of_numpy_and_torch_are_numbers(trainable: type[SelectionTrainable]) -> None:
    model = trainable.data_settings
    assert model is not None
    plain = model.of({"validation_fraction": 0.25})
    for number in (np.float32(0.25), np.float64(0.25), torch.tensor(0.25), np.array(0.25)):
        assert model.of({"validation_fraction": number}) == plain
    key = "min_count" if "min_count" in model.model_fields else "split_seed"
    for whole in (np.int64(2), np.uint8(2), torch.tensor(2)):
        assert model.of({key: whole}) == model.of({key: 2})
    assert model.of({"name": model.of({}).name, "root": None}) == model.of({})


def test_a_subclass_that_loads_something_else_may_read_other_keys() -> None:
    class Mine(ImageClassification):
        @classmethod
        def load_dataset(cls, config: Any) -> Any:
            return ImageClassification.load_dataset({"data": {"train_limit": config["data"]["n"]}})

    assert Mine.check({"data": {"n": 100}, "model": "mlp"}).data["n"] == 100


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"name": "digit"},
            r"data\.name must be one of digits.*'digit'; did you mean digits\?",
        ),
        ({"train_limit": "many"}, r"must be an integer of at least 2 or null, got 'many'"),
        ({"augment": "strong"}, r"data\.augment must be auto.*'strong'"),
        ({"augment": {"pad": -1}}, r"data\.augment\.pad must be an integer of at least 0 or null"),
        ({"augment": {"rotate": 5}}, r"data\.augment\.rotate=5 is an unknown key"),
        ({"augment": {"flip": "no"}}, r"data\.augment\.flip must be true or false or null"),
        ({"name": "image_folder", "augment": {"pad": 4}}, "no padding and no cutout.*'pad': 4"),
        ({"imbalance": {"classes": 0.5}}, r"data\.imbalance\.keep is missing; give it a number"),
        ({"imbalance": {"classes": 1.5, "keep": 0.1}}, r"imbalance\.classes must be .* got 1\.5"),
        ({"imbalance": {"classes": 0.5, "keep": 0}}, r"imbalance\.keep must be .* got 0"),
        ({"imbalance": 0.5}, r"data\.imbalance must be null or a mapping"),
        ({"label_noise": 1.0}, r"data\.label_noise must be a number in \[0, 1\), got 1\.0"),
        ({"split_seed": -1}, r"data\.split_seed must be an integer of at least 0, got -1"),
        ({"background": "blak"}, r"data\.background must be a color's name.*'blak'"),
        ({"background": [0, 0, 300]}, r"data\.background must be"),
        ({"value_range": [5, 5]}, r"data\.value_range must be null or"),
        ({"value_range": 4095}, r"data\.value_range must be null or"),
        ({"broken": "ignore"}, r"data\.broken must be error or skip, got 'ignore'"),
        ({"extra": True}, r"data\.extra: is svhn's alone"),
        ({"name": "my.data", "augment": False}, r"data\.augment: False does nothing to the data"),
    ],
)
def test_image_settings(data: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        ImageSettings.of(data)


def test_every_name_of_an_image_set_has_a_reader() -> None:
    from trainables.data.images import _READERS

    assert {*IMAGE_SETS} == {*_READERS, "arrays", "image_folder"}


def test_nothing_of_it_may_be_written_as_null() -> None:
    nothing = {"label_noise": None, "imbalance": None, "corruption_seed": None}
    assert ImageSettings.of(nothing) == ImageSettings()
    assert ImageSettings.of({"imbalance": {}}) == ImageSettings()
    assert not ImageSettings().corruption.changes_anything


def test_examples_are_the_same_however_they_are_fed() -> None:
    one = ImageSettings.of({"root": Path("there"), "background": "#808080"})
    assert one.same_examples(ImageSettings.of({"root": "there", "augment": False, "workers": 3}))
    assert not one.same_examples(ImageSettings.of({"root": "elsewhere"}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"decimal": "x"}, r"data\.decimal must be '\.' or ',', got 'x'"),
        ({"thousands": "."}, r"data\.thousands must not be the decimal mark, got '\.' for both"),
        ({"thousands": ";"}, r"data\.thousands must be null or one of"),
        ({"numeric": ["x"], "categorical": "x"}, r"data\.numeric: names \['x'\], and so does"),
        ({"drop": {"a": 1}}, r"data\.drop must be a list of entries, each a text, got"),
        ({"encoding": "latn"}, r"data\.encoding must be an encoding's name .*'latn'"),
    ],
)
def test_table_settings(data: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        TableSettings.of(data)


def test_columns_may_be_numbers_and_stand_alone() -> None:
    assert TableSettings.of({"drop": "a", "numeric": [3, "b"], "target": 0}) == TableSettings(
        drop=("a",), numeric=("3", "b"), target="0"
    )
