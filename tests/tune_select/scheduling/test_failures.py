"""What is tried again and what is not, by the texts that Ray really writes."""

import traceback
from types import SimpleNamespace

import pytest
import ray
from ray.exceptions import RayTaskError

from tune_select.history import HistoryCorruptError, HistoryUnavailableError
from tune_select.scheduling.failures import Failure, can_pass, failure_of, give_up, parse_failure

ATTEMPT = "Failure # {} (occurred at 2026-11-29_01-12-33)\n"


def text_of(error: BaseException, attempt: int = 1) -> str:
    """As Tune writes an exception of a trial's step into ``error.txt``."""
    try:
        raise error
    except BaseException as raised:
        # A worker formats an exception so, and the driver shows it so.
        shown = "".join(traceback.format_exception(raised))
        wrapped = RayTaskError("ray::Trial.train()", shown, raised)
    return ATTEMPT.format(attempt) + str(wrapped) + "\n"


PASSES = [
    OSError(28, "No space left on device"),
    OSError(30, "Read-only file system"),
    ConnectionResetError("by peer"),
    TimeoutError("no answer"),
    HistoryUnavailableError("the store does not answer"),
    MemoryError(),
]
STAYS = [
    ArithmeticError("the loss is not finite"),
    HistoryCorruptError("interval-0000.parquet is damaged"),
    ValueError("train.model: no such model\n  second line: here"),
    FileNotFoundError(2, "No such file or directory", "/data/x"),
    RuntimeError("shapes do not fit"),
    KeyError("label"),
    ImportError("no module"),
]


@pytest.mark.parametrize("error", PASSES, ids=repr)
def test_what_can_pass_is_tried_again(error):
    assert can_pass(parse_failure(text_of(error)))


@pytest.mark.parametrize("error", STAYS, ids=repr)
def test_what_is_deterministic_is_not(error):
    failure = parse_failure(text_of(error))
    assert not can_pass(failure)
    assert failure.kind.endswith(type(error).__name__)
    assert failure.message == str(error)


def test_the_last_attempt_counts():
    text = text_of(PASSES[0]) + text_of(STAYS[0], attempt=2)
    assert str(parse_failure(text)) == "ArithmeticError: the loss is not finite"
    assert can_pass(parse_failure(text_of(STAYS[0]) + text_of(PASSES[0], attempt=2)))


@pytest.mark.parametrize(
    "text",
    [
        "The actor died unexpectedly before finishing this task.\n\tclass_name: Trainable\n",
        "Task was killed due to the node running low on memory.\nMemory on the node was 15GB.",
        "",
    ],
)
def test_a_process_that_died_is_tried_again(text):
    failure = parse_failure(ATTEMPT.format(1) + text)
    assert failure.kind == ""
    assert can_pass(failure)


def test_an_error_while_a_process_comes_up_is_its_own():
    inner = text_of(ValueError("no such model")).split("\n", 1)[1]
    text = (
        ATTEMPT.format(1)
        + "The actor died because of an error raised in its creation task, "
        + inner
    )
    assert parse_failure(text) == Failure("ValueError", "no such model")


@pytest.mark.parametrize(
    ("kind", "passes"),
    [
        ("torch.OutOfMemoryError", True),
        ("ray.exceptions.NodeDiedError", True),
        ("ray.exceptions.OutOfMemoryError", True),
        ("somebody.elses.Error", False),
        ("os.path", False),
    ],
)
def test_classes_by_name(kind, passes):
    assert ray.exceptions is not None
    assert can_pass(Failure(kind, "")) is passes


def test_a_trial_without_a_text_has_no_known_failure(tmp_path):
    error = tmp_path / "error.txt"
    for file in (None, str(error)):
        assert failure_of(SimpleNamespace(error_file=file)) is None
    error.write_text(text_of(ValueError("bad")))
    assert failure_of(SimpleNamespace(error_file=str(error))) == Failure("ValueError", "bad")


def test_giving_up_tells_everybody_whom_tune_tells():
    told = []

    class Controller:
        _iteration, _trials = 7, ["all"]
        _scheduler_alg = SimpleNamespace(
            on_trial_error=lambda _, trial: told.append(("scheduler", trial.trial_id))
        )
        _search_alg = SimpleNamespace(
            on_trial_complete=lambda trial_id, error: told.append(("search", trial_id, error))
        )
        _callbacks = SimpleNamespace(
            on_trial_error=lambda iteration, trials, trial: told.append(
                ("callbacks", iteration, trials, trial.trial_id)
            )
        )

        def _schedule_trial_stop(self, trial, exception):
            told.append(("stop", trial.trial_id, str(exception)))

    give_up(Controller(), SimpleNamespace(trial_id="t"), Failure("m.ValueError", "no such model"))
    assert told == [
        ("scheduler", "t"),
        ("search", "t", True),
        ("stop", "t", "ValueError: no such model"),
        ("callbacks", 7, ["all"], "t"),
    ]


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (Failure("a.b.Bad", "why"), "Bad: why"),
        (Failure("Bad", ""), "Bad"),
        (Failure("", "it died"), "it died"),
    ],
)
def test_a_failure_for_people(failure, said):
    assert str(failure) == said
