"""What a trainable says of the thing that is trained: nothing here knows of Ray."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch

from trainables.arms.build import check_arm
from trainables.data.description import identity_line
from trainables.data.settings.base import DataSettings
from trainables.loop.compiled import check_compile
from trainables.settings.trial import TRAINING_KEYS, TrialSettings, parse_settings
from trainables.tasks.task import Task
from tune_select.plain import plain


class Subject:
    """What is trained, and what can be said of it before any of it is.

    A subclass implements ``make_task``, usually ``load_dataset``, and may set ``defaults``.

    Attributes:
        metric: Name of the task's metric, reported as ``val_<metric>`` and ``test_<metric>``.
        mode: Whether a larger metric is better (``max``) or a smaller one (``min``).
        defaults: Values in place of the paper's defaults, and keys of the subclass's own with
            theirs; those reach ``make_task`` in ``settings.extra``.
        hands_on_weights: Whether trials heed ``start_from`` and ``leave_weights``, which a warm
            ladder needs.
        data_settings: Knows the keys of ``data`` that this class's ``load_dataset`` reads; ``None``
            where nothing is known of them.
    """

    metric: ClassVar[str] = "accuracy"
    mode: ClassVar[Literal["min", "max"]] = "max"
    defaults: ClassVar[Mapping[str, Any]] = {}
    hands_on_weights: ClassVar[bool] = True
    data_settings: ClassVar[type[DataSettings] | None] = None

    @abstractmethod
    def make_task(self, settings: TrialSettings, dataset: Any, device: torch.device) -> Task:
        """Build the trial's task; the global generators are seeded with the trial's seed.

        Args:
            settings: The trial's checked configuration.
            dataset: What ``load_dataset`` returned, here or (shared) in the driver.
            device: Where to put the model and make batches.
        """

    @classmethod
    def load_dataset(cls, config: Mapping[str, Any]) -> Any:
        """Load what all trials with this ``data`` share; ``None`` when each makes its own.

        ``tune.with_parameters(Cls, dataset=Cls.load_dataset(config))`` loads it once for all
        trials; otherwise each actor loads it once. Its ``identity`` attribute, if it has one, is
        the training split's ``DatasetIdentity``.

        Args:
            config: A trial configuration, of which ``data`` is read.
        """
        return None

    @classmethod
    def describe(cls, dataset: Any) -> list[str]:
        """Lines for people on what ``load_dataset`` returned: sizes, classes, what was left out."""
        identity = getattr(dataset, "identity", None)
        return [] if identity is None else [identity_line(identity)]

    @classmethod
    def fits(cls, dataset: Any, settings: TrialSettings) -> bool:
        """Whether a shared data set is the one that the trial's ``settings.data`` describes.

        Where it is not (a search over data settings), the trial loads its own.
        """
        loaded = getattr(dataset, "settings", None)
        if cls.data_settings is None or not isinstance(loaded, cls.data_settings):
            return True
        return loaded.same_examples(cls.data_settings.of(settings.data))

    @classmethod
    def setting_names(cls) -> frozenset[str]:
        """The keys of a sweep's ``train``, which any arm may set for itself too."""
        return (TRAINING_KEYS | set(cls.defaults)) - {"data", "selection"}

    @classmethod
    def check(cls, config: Mapping[str, Any], dataset: Any = None) -> TrialSettings:
        """Find what is wrong with a configuration before a trial starts.

        Args:
            config: A trial's configuration; values that are still search domains must be resolved.
            dataset: What ``load_dataset`` returned, to check the arm against its identity.

        Raises:
            ValueError: Names the field, its value and the remedy.
        """
        config = plain(config)
        settings = parse_settings(config, cls.defaults)
        if cls.data_settings is not None and cls._loads_by_its_settings():
            cls.data_settings.of(settings.data)
        check_compile(settings)
        check_arm(settings, config, getattr(dataset, "identity", None))
        return settings

    @classmethod
    def _loads_by_its_settings(cls) -> bool:
        """Whether ``load_dataset`` is that of the class whose ``data_settings`` these are.

        A subclass may load something else, and read other keys.
        """
        owners = [
            next(owner for owner in cls.__mro__ if name in vars(owner))
            for name in ("data_settings", "load_dataset")
        ]
        return issubclass(owners[0], owners[1])
