"""A trial's last weights, kept for a trial of the same experiment that begins with them."""

from __future__ import annotations

import io

import pyarrow.fs
import torch
from torch import nn

from tune_select.search.ladder import WEIGHTS_FOLDER
from tune_select.storage import Folder


class HandingOn:
    """The weights that trials of one experiment leave to each other.

    Args:
        filesystem: The filesystem of the experiment's folder, local or in the cloud.
        experiment: Its folder, which holds the trials' own.
    """

    def __init__(self, filesystem: pyarrow.fs.FileSystem, experiment: str) -> None:
        path = f"{experiment.rstrip('/')}/{WEIGHTS_FOLDER}"
        self._folder = Folder(path, filesystem, path)

    def leave(self, trial: str, model: nn.Module) -> None:
        """Keep a model's weights and buffers under its trial's id; written whole or not at all."""
        content = io.BytesIO()
        torch.save(model.state_dict(), content)
        self._folder.write(_name(trial), content.getvalue())

    def take(self, trial: str, model: nn.Module) -> None:
        """Put what a trial has left into a model of the same shape.

        Args:
            trial: The id of the one that left it.
            model: Its weights are overwritten, on the device where they are.

        Raises:
            ValueError: That trial left nothing, or its model was another.
        """
        try:
            content = self._folder.read(_name(trial))
        except FileNotFoundError:
            raise ValueError(
                f"start_from is {trial!r}, but that trial has left no weights in "
                f"{self._folder.location}: a trial leaves them at its end if leave_weights is true"
            ) from None
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(
                f"start_from is {trial!r}, whose model is another than this trial's: "
                f"{' '.join(str(error).split())}"
            ) from None


def _name(trial: str) -> str:
    return f"{trial}.pt"
