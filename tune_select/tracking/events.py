"""What happens in a sweep, as plain JSON events: pure functions, neither Ray nor MLflow.

The driver appends events to a spool (``spool.py``); the writer process merges them (``merge``) and
sends them (``sender.py``). Kinds of events, each a flat dict with ``kind`` and ``time_ms``:

- ``sweep``: (re)opens the parent run: ``tags``, ``params``;
- ``start``: a trial starts or comes back: ``trial``, ``name``, ``params``, ``tags``;
- ``metrics``: one report: ``trial``, ``step``, ``values``;
- ``past``: a whole trial of an earlier run, for a tracker that has lost it: as ``start``, and
  ``points``, ``status`` (None: it goes on);
- ``tags``: ``trial`` (None: the parent run), ``tags``;
- ``artifact``: ``trial`` (None: the parent run), ``path``, ``artifact_path``,
  and ``remove`` for a copy made for sending;
- ``end``: ``trial``, ``status``, ``tags``;
- ``finish``: closes the parent run: ``status``, ``metrics``.
"""

from __future__ import annotations

import math
import numbers
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from tune_select.arms import arm_of, final_settings
from tune_select.history.location import history_location
from tune_select.secrets import mask_text, mask_uri, mask_value

Event = dict[str, Any]

MAX_KEY = 250  # characters; MLflow's limits for names, parameter values and tags
MAX_PARAM = 6000
MAX_TAG = 5000

# Tune's bookkeeping, not results of training.
_BOOKKEEPING = frozenset(
    {
        "checkpoint_dir_name",
        "config",
        "date",
        "done",
        "experiment_tag",
        "hostname",
        "iterations_since_restore",
        "node_ip",
        "pid",
        "should_checkpoint",
        "time_since_restore",
        "time_this_iter_s",
        "timestamp",
        "training_iteration",
        "trial_id",
        "waiting_for_interval",
    }
)
_NOT_IN_KEYS = re.compile(r"[^\w.\- /]", re.ASCII)


def now_ms() -> int:
    """Milliseconds since the epoch, MLflow's unit of time."""
    return int(time.time() * 1000)


def clean_key(key: str) -> str:
    """``key`` as a name that every MLflow store takes.

    Letters, digits, ``_ . -``, spaces and ``/`` stay, everything else becomes ``_``; empty, ``.``
    and ``..`` parts between slashes go (MLflow uses names as paths); at most 250 characters.
    """
    parts = [part for part in _NOT_IN_KEYS.sub("_", key).split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[:MAX_KEY].rstrip("/") or "_"


def flatten(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``(key, value)`` of a nested mapping, keys joined with ``/``."""
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", value


def params_of(config: Mapping[str, Any]) -> dict[str, str]:
    """A trial's configuration as MLflow parameters: flat, as text, passwords masked."""
    return {
        clean_key(key): mask_uri(str(mask_value(key, value)))[:MAX_PARAM]
        for key, value in flatten(config)
    }


def trial_params(config: Mapping[str, Any], constant: Collection[str] = ()) -> dict[str, str]:
    """The parameters of a trial's own run: its final settings, but for those of all trials.

    Args:
        config: The trial's whole configuration.
        constant: Names of parameters that are the same in every trial of the sweep.
    """
    params = params_of(final_settings(config))
    return {name: value for name, value in params.items() if name not in constant}


def metrics_of(result: Mapping[str, Any]) -> dict[str, float]:
    """The numbers in a report that are results; NaN and infinities are kept.

    Left out: Tune's bookkeeping, truth values, text, and missing values.
    """
    values = {}
    for key, value in flatten(result):
        if key.split("/", 1)[0] in _BOOKKEEPING or isinstance(value, bool):
            continue
        # NumPy's numbers register as numbers.Real; its bool does not.
        if isinstance(value, numbers.Real):
            values[clean_key(key)] = float(value)
    return values


def step_of(result: Mapping[str, Any]) -> int:
    """The step of a report: its ``epoch``, or ``training_iteration`` without one."""
    step = result.get("epoch", result.get("training_iteration", 0))
    number = float(step) if isinstance(step, numbers.Real) else math.nan
    return int(number) if math.isfinite(number) else 0


def is_waiting(result: Mapping[str, Any]) -> bool:
    """Whether a replay only says that it waits for an interval: not a training result."""
    waiting = result.get("waiting_for_interval", -1)
    return isinstance(waiting, numbers.Real) and float(waiting) >= 0


def history_key(config: Mapping[str, Any]) -> str | None:
    """The key (last part of the path) of the history a trial writes or replays."""
    try:
        history = history_location(config)
    except ValueError:  # not for the tracker to complain about
        return None
    path = history.get("path") if isinstance(history, Mapping) else history
    if not isinstance(path, str) or not path.strip("/"):
        return None
    return path.split("?", 1)[0].rstrip("/").rsplit("/", 1)[-1]


def selector_of(config: Mapping[str, Any]) -> str | None:
    """The name of the selector behind a trial's arm, or None without an arm."""
    if config.get("arm") is None:
        return None
    try:
        return arm_of(config).selector
    except (TypeError, ValueError):  # not for the tracker to complain about
        return str(config["arm"])


def tags_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The tags by which the runs of a sweep are found and compared.

    ``arm``, ``selector``, ``history_key``, and ``configuration``, ``seed`` and, of a ladder, the
    strategy, the rung and the trial it was promoted from, where the configuration names them.
    """
    tags = {
        "arm": config.get("arm"),
        "selector": selector_of(config),
        "history_key": history_key(config),
        "configuration": config.get("configuration"),
        "seed": config.get("seed"),
        **{key: config.get(key) or None for key in ("strategy", "rung_name", "promoted_from")},
        "rung": config.get("rung"),
    }
    return clean_tags({key: value for key, value in tags.items() if value is not None})


def clean_tags(tags: Mapping[str, Any]) -> dict[str, str]:
    """Tags as text within MLflow's limits, passwords masked."""
    return {clean_key(str(key)): mask_text(str(value))[:MAX_TAG] for key, value in tags.items()}


def run_name(config: Mapping[str, Any], varied: Mapping[str, Any], trial_id: str) -> str:
    """A trial's name on the MLflow page: its arm and the values that vary between trials.

    Without the values' keys, which are columns of their own and would be all that fits the column;
    only the training seed, last, says what it is. The number of the configuration is a tag.

    Args:
        config: The trial's configuration.
        varied: The values that the searcher chose for it.
        trial_id: The name where there is neither.
    """
    parts = [str(config["arm"])] if "arm" in config else []
    for key, value in flatten(varied):
        value = mask_value(key, value)
        if key not in ("arm", "configuration", "seed"):
            parts.append(f"{value:.4g}" if isinstance(value, float) else str(value))
    if "seed" in varied:
        parts.append(f"seed={varied['seed']}")
    return mask_uri(" ".join(parts))[:120] or trial_id


def as_ranges(steps: Iterable[int]) -> str:
    """A set of steps as text, such as ``3-7, 12``."""
    ranges: list[list[int]] = []
    for step in sorted(set(steps)):
        if ranges and step == ranges[-1][1] + 1:
            ranges[-1][1] = step
        else:
            ranges.append([step, step])
    return ", ".join(f"{a}-{b}" if a < b else str(a) for a, b in ranges)


def from_ranges(text: str) -> frozenset[int]:
    """Read what ``as_ranges`` wrote."""
    steps: set[int] = set()
    for part in filter(None, text.split(", ")):
        first, _, last = part.partition("-")
        steps.update(range(int(first), int(last or first) + 1))
    return frozenset(steps)


def merge(events: Iterable[Event]) -> list[Event]:
    """Join consecutive reports of each trial, so that they take one request.

    The order within a trial is kept. Trials are independent of each other, so a trial's events
    move together to the place of its first one; events of the parent run stay where they are
    among all others (a ``finish`` comes after everything that came before it).

    Returns:
        Events in which each run of ``metrics`` events of a trial is one event with ``points``, a
        list of ``(step, time_ms, values)``.
    """
    done: list[Event] = []
    by_trial: dict[str, list[Event]] = {}

    def settle() -> None:
        for of_trial in by_trial.values():
            done.extend(of_trial)
        by_trial.clear()

    for event in events:
        trial = event.get("trial")
        if trial is None:
            settle()
            done.append(event)
            continue
        of_trial = by_trial.setdefault(trial, [])
        if event["kind"] != "metrics":
            of_trial.append(event)
            continue
        point = (event["step"], event["time_ms"], event["values"])
        if of_trial and of_trial[-1]["kind"] == "metrics":
            of_trial[-1]["points"].append(point)
        else:
            of_trial.append({"kind": "metrics", "trial": trial, "points": [point]})
    settle()
    return done
