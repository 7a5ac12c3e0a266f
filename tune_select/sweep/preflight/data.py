"""What a sweep's data holds, found out by opening all of it once."""

from __future__ import annotations

from tune_select.sweep.config import SweepConfig, SweepError
from tune_select.sweep.plan import make_plan


def describe_data(config: SweepConfig) -> list[str]:
    """Load the data set as the sweep would, and say what it is.

    A trainable describes its own: its class method ``describe`` turns what ``load_dataset``
    returned into lines. Data settings that the space varies are loaded by the trials that draw
    them; only those under ``data`` are opened here.

    Raises:
        SweepError: The data cannot be read or do not do, in the loader's own words.
    """
    plan = make_plan(config)
    load = getattr(plan.trainable, "load_dataset", None)
    if load is None:
        return [f"{config.trainable} shares no data set: each trial makes its own"]
    try:
        dataset = load(plan.base_config())
    except (ValueError, OSError) as error:
        raise SweepError(str(error)) from None
    describe = getattr(plan.trainable, "describe", None)
    lines = [] if describe is None or dataset is None else list(describe(dataset))
    varied = [axis for axis in plan.space.axes if axis.startswith("data.")]
    if varied:
        lines.append(f"not opened: what the space's {', '.join(varied)} make of it")
    return lines or [f"{config.trainable} says nothing of its data set; loading it went well"]
