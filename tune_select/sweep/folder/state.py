"""What a sweep is and how it ended: the one thing in a results folder that nothing else tells.

``sweep.state`` is a small JSON file, written whole or not at all and checked by its SHA-256 when it
is read. Tune's state has its copy beside it (``snapshot``), and everything else is made from these,
the trials' own logs and their checkpoints. The name does not end in ``.json``, see ``snapshot``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tune_select.mappings import flat
from tune_select.storage import Folder
from tune_select.sweep.config import SweepError
from tune_select.sweep.ending import Ending

STATE = "sweep.state"
_FORMAT = 1

# What may differ when a sweep goes on: where and how long it runs, not what it computes.
_FREE = (
    "checkpoint",
    "cluster",
    "data.root",
    "promote",
    "tune.max_concurrent",
    "tune.max_failures",
    "tune.report_every_s",
    "tune.time_budget_s",
)


@dataclass(frozen=True)
class SweepState:
    """What is known of a sweep.

    Attributes:
        settings: The resolved sweep as ``sweep.yaml`` was first written, secrets masked.
        ending: How it ended; ``None`` while it runs, and after a kill.
        said: What the report says of the ending.
        planned: The SHA-256 of the trial configurations that results had planned, by phase.
        location: The location of the results folder when the sweep began; empty in states of older
            versions.
    """

    settings: Mapping[str, Any]
    ending: Ending | None = None
    said: str = ""
    planned: Mapping[str, str] = field(default_factory=dict)
    location: str = ""

    def begun(self) -> SweepState:
        """The same sweep, which runs again."""
        return replace(self, ending=None, said="")

    def ended(self, ending: Ending, said: str) -> SweepState:
        """The same sweep, which has ended."""
        return replace(self, ending=ending, said=said)

    def plans(self, phase: str, configs: list[dict[str, Any]]) -> SweepState:
        """The same sweep with what a phase is to train."""
        return replace(self, planned={**self.planned, phase: fingerprint(configs)})

    def write(self, location: str) -> None:
        """Write it into a results folder."""
        body = {
            "settings": self.settings,
            "ending": self.ending.as_dict() if self.ending else None,
            "said": self.said,
            "planned": dict(self.planned),
            "location": self.location,
        }
        whole = {"format": _FORMAT, "sha256": fingerprint(body), "state": body}
        Folder.at(location).write(STATE, json.dumps(whole, indent=1).encode())

    @classmethod
    def read(cls, location: str) -> SweepState | None:
        """That of a results folder; ``None`` where there is none, or none that is sound.

        Raises:
            SweepError: A newer version has written it, and what it means is not known here.
        """
        try:
            whole = json.loads(Folder.at(location).read(STATE))
            if isinstance(whole["format"], int) and whole["format"] > _FORMAT:
                raise SweepError(
                    f"{location}/{STATE} was written by a newer version of tune-select (format "
                    f"{whole['format']}, this one reads up to {_FORMAT}): resume with that version"
                )
            body = whole["state"]
            if whole["format"] != _FORMAT or whole["sha256"] != fingerprint(body):
                return None
            ending = Ending.from_dict(body["ending"]) if body["ending"] else None
            place = str(body.get("location", ""))
            return cls(body["settings"], ending, body["said"], body["planned"], place)
        except SweepError:
            raise
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None


class KeptState:
    """The state of a sweep that runs, which its results folder follows.

    Attributes:
        now: The state.
    """

    def __init__(self, state: SweepState, location: str) -> None:
        self.now, self._location = state, location

    def becomes(self, state: SweepState) -> None:
        """Take a new state, and write it."""
        self.now = state
        state.write(self._location)


def fingerprint(data: Any) -> str:
    """The SHA-256 of plain data, whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def check_same(before: Mapping[str, Any], now: Mapping[str, Any], location: str) -> None:
    """Refuse to go on with another sweep under the old one's name.

    Args:
        before: The settings that the sweep began with.
        now: Those of its ``sweep.yaml`` today.
        location: The location of the results folder.

    Raises:
        SweepError: A key that decides what is computed differs; it is named with both values.
    """
    old, new = dict(flat(before)), dict(flat(now))
    differing = [
        f"{key} was {old.get(key)!r} and is now {new.get(key)!r}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key) and not _is_free(key)
    ]
    if differing:
        raise SweepError(
            f"{location}/sweep.yaml was changed since the sweep began: {'; '.join(differing[:5])}. "
            "Its trials were trained with the old values: put these back, or run the new sweep "
            "under another name. May differ on --resume: " + ", ".join(_FREE)
        )


def check_place(state: SweepState, location: str) -> None:
    """Refuse to go on in a folder that was moved: its trials name places in the old one.

    Args:
        state: The state of the sweep.
        location: The location of the results folder today.

    Raises:
        SweepError: It is another place than the one where the sweep began, which does not lead here
            either.
    """
    before, now = (place.partition("?")[0].rstrip("/") for place in (state.location, location))
    if before in ("", now) or ("://" not in before and os.path.realpath(before) == now):
        return
    raise SweepError(
        f"{location} was moved here from {before}, where its trials look for their histories: move "
        f"it back, or let the old place lead here (ln -s {location} {before}), and resume again. "
        "tune-select report FOLDER and --more --from FOLDER work wherever it lies"
    )


def _is_free(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in _FREE)
