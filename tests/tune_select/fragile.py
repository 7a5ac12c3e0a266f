"""Real training on real digits that logs what it does and dies when it is told to."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any, ClassVar

from trainables import ImageClassification


class Fragile(ImageClassification):
    """Configuration beside the usual: ``log`` (a folder, as in ``toy``), ``die_arm`` and ``die_at``
    (epochs of that arm after which the process is killed, once each, before it can report or write
    a checkpoint) and ``epoch_s`` (how long an epoch takes at least)."""

    defaults: ClassVar[dict[str, Any]] = {
        "log": None,
        "die_arm": "seed",
        "die_at": [],
        "epoch_s": 0.0,
    }

    def step(self) -> dict[str, Any]:
        started = time.monotonic()
        report = super().step()
        if report["waiting_for_interval"] >= 0:
            return report
        extra, epoch = self.settings.extra, report["epoch"]
        time.sleep(max(0.0, extra["epoch_s"] - (time.monotonic() - started)))
        log = Path(extra["log"])
        mark = log / f"died-{epoch}"
        if self.settings.arm == extra["die_arm"] and epoch in extra["die_at"] and not mark.exists():
            mark.touch()
            self._log(log, "die", epoch)
            os.kill(os.getpid(), signal.SIGKILL)
        self._log(log, "epoch", epoch)
        return report

    def _log(self, folder: Path, what: str, value: int) -> None:
        line = {"what": what, "value": value, "at": time.time(), "arm": self.settings.arm}
        with (folder / f"{self.trial_id}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
