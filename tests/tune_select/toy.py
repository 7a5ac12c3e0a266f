"""A trainable of no cost with a seed, replays and baselines, and ways to make it fail."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune

from tests.tune_select.histories import identity, interval
from tune_select.history import HistoryAccess, HistoryIdentity, Interval, open_history
from tune_select.history.location import history_location


def toy_identity(config: dict[str, Any]) -> HistoryIdentity:
    kept = ("arm", "learning_rate", "seed", "fraction")
    return identity(
        select_every=config.get("select_every", 2),
        warm_start_epochs=config.get("warm_start_epochs", 0),
        max_epochs=config.get("max_epochs", 4),
        fraction=config.get("fraction", 0.05),
        seed_config={key: config[key] for key in kept if key in config},
    )


def toy_interval(number: int, config: dict[str, Any]) -> Interval:
    return interval(number, toy_identity(config), select_s=time.time() % 1)


class Toy(tune.Trainable):
    """One step is one epoch. Its score depends on the learning rate and the epoch alone.

    Configuration, beside ``arm``, ``learning_rate``, ``max_epochs``, ``select_every`` and
    ``history``: ``warm_start_epochs``, ``epoch_s`` (an epoch's length by arm), ``select_s`` (a
    selection's), ``patience_s`` (before a
    replay steps aside), ``die`` ({"arm", "epochs", "folder", "how"}: at the start of those epochs,
    once each, where ``how`` is "kill" or "raise"; "always" in place of ``folder`` repeats it),
    ``log`` (a folder; each step appends a line to ``<trial id>.jsonl``), ``seed_stays`` (an epoch
    at which the seed stays until a replay has waited for it), ``meet`` (how many replays must be
    there together before the first of them trains), ``looks`` (the epochs, besides the last, that
    report a score; all of them without it).
    """

    def setup(self, config: dict[str, Any]) -> None:
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._take(new_config)
        return True

    def _take(self, config: dict[str, Any]) -> None:
        self.config, self.epoch, self.resumed_at = config, 0, 0
        self.history: HistoryAccess | None = None
        location = history_location(config)
        if location is not None:
            self.history = open_history(location)
            if config["arm"] == "seed":
                self.history.begin(toy_identity(config))

    def step(self) -> dict[str, Any]:
        config, arm = self.config, self.config["arm"]
        self._maybe_die()
        report: dict[str, Any] = {"waiting_for_interval": -1, "resumed_at": self.resumed_at}
        warm = config.get("warm_start_epochs", 0)
        number = (self.epoch - warm) // config.get("select_every", 2)
        if arm == "seed":
            self._stay_until_a_replay_waits(max(0, number))
            report |= self._publish(number)
        elif arm.startswith("cached") and self.history is not None and number >= 0:
            patience_s = config.get("patience_s", 0.2)
            found = self.history.read(number, patience_s)
            if found is None:
                self._log("wait", number)
                return {"epoch": self.epoch, "waiting_for_interval": number, "done": False}
            self._meet()
            if config.get("check", True):
                assert found.same_content(toy_interval(number, {**config, "arm": "seed"}))
        time.sleep(config.get("epoch_s", {}).get(arm, 0.0))
        self.epoch += 1
        self._log("epoch", self.epoch)
        return self._report(**report)

    def _publish(self, number: int) -> dict[str, Any]:
        last = self.epoch + 1 == self.config.get("max_epochs", 4)
        if self.history is not None and number >= 0:
            time.sleep(self.config.get("select_s", 0.0))
            self.history.publish(toy_interval(number, self.config))
            if last:
                self.history.finish()
        return {"history_published": max(0, number + 1), "history_complete": last}

    def _report(self, **more: Any) -> dict[str, Any]:
        rate = self.config.get("learning_rate", 0.1)
        done = self.epoch == self.config.get("max_epochs", 4)
        looks = self.config.get("looks")
        looked = looks is None or done or self.epoch in looks
        score = {"score": rate * (1 + self.epoch)} if looked else {}
        return {**score, "epoch": self.epoch, "done": done, **more}

    def _stay_until_a_replay_waits(self, number: int) -> None:
        deadline = time.monotonic() + 120
        while self.config.get("seed_stays") == self.epoch and time.monotonic() < deadline:
            logs = [log.read_text() for log in Path(self.config["log"]).glob("*.jsonl")]
            lines = [json.loads(line) for log in logs for line in log.splitlines()]
            # Replays whose processes came up before the seed's have waited for its first interval.
            if any(line["what"] == "wait" and line["value"] >= number for line in lines):
                return
            time.sleep(0.05)

    def _meet(self) -> None:
        deadline = time.monotonic() + 120
        if self.epoch == 0 and self.config.get("meet", 0):
            self._log("meet", 0)
            while time.monotonic() < deadline:
                logs = [log.read_text() for log in Path(self.config["log"]).glob("*.jsonl")]
                if sum('"what": "meet"' in text for text in logs) >= self.config["meet"]:
                    return
                time.sleep(0.05)

    def _maybe_die(self) -> None:
        die = self.config.get("die")
        if not die or die["arm"] != self.config["arm"] or self.epoch not in die["epochs"]:
            return
        if die["folder"] != "always":
            mark = Path(die["folder"]) / f"{self.trial_id}-{self.epoch}"
            if mark.exists():
                return
            mark.touch()
        self._log("die", self.epoch)
        if die.get("how", "kill") == "raise":
            raise RuntimeError("the toy was told to fail")
        os.kill(os.getpid(), signal.SIGKILL)

    def _log(self, what: str, value: int) -> None:
        if self.config.get("log"):
            line = {"what": what, "value": value, "at": time.time(), "arm": self.config["arm"]}
            line["node"] = ray.get_runtime_context().get_node_id()
            with (Path(self.config["log"]) / f"{self.trial_id}.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        (Path(checkpoint_dir) / "epoch.json").write_text(json.dumps(self.epoch))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        self.epoch = json.loads((Path(checkpoint_dir) / "epoch.json").read_text())
        self.resumed_at = self.epoch
