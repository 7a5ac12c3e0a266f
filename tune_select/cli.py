"""The command line: ``tune-select run | report | compare | history show | data check | ...``."""

from __future__ import annotations

import importlib.resources
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tune_select.secrets import mask_text
from tune_select.terminal import end_on_signals, keep_streams
from tune_select.versions import versions_of
from tune_select.wording import said_of

if TYPE_CHECKING:
    from tune_select.sweep.config import SweepConfig
    from tune_select.sweep.folder.results_folder import ResultsFolder

app = typer.Typer(
    name="tune-select",
    help="Tune on a tenth of the data: one trial selects, the others replay.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        found = versions_of(("tune-select", "ray", "torch", "mlflow"))
        typer.echo(", ".join(f"{name} {version}" for name, version in found.items()))
        raise typer.Exit


@app.callback()
def _main(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show versions and stop."
        ),
    ] = False,
) -> None:
    """Of the program itself; commands follow."""


history_app = typer.Typer(no_args_is_help=True, help="Look at subset histories.")
app.add_typer(history_app, name="history")
data_app = typer.Typer(no_args_is_help=True, help="Look at data sets.")
app.add_typer(data_app, name="data")


@data_app.callback()
def _data() -> None:
    """Keep ``check`` a command of its own: with one command typer would run it as ``data``."""


_EMBEDDED = "ladder_digits.yaml"

SweepFile = Annotated[
    Path | None, typer.Argument(help="A sweep as YAML; without it, a ladder beside ASHA on digits.")
]
Override = Annotated[
    list[str] | None,
    typer.Option("-o", "--override", metavar="KEY=VALUE", help="Set a key: -o train.max_epochs=30"),
]
Price = Annotated[
    float | None, typer.Option(help="List price per hour of a trial's GPU, or of a CPU without.")
]
Currency = Annotated[str, typer.Option(help="Shown with prices.")]
Level = Annotated[float, typer.Option(help="Nominal coverage of intervals, in (0, 1).")]
TopK = Annotated[int, typer.Option(help="k of the top-k recall, and how many are promoted.")]


class Direction(StrEnum):
    """Of a metric."""

    max = "max"
    min = "min"


@app.command()
def run(
    sweep: SweepFile = None,
    override: Override = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the resolved sweep, stop.")
    ] = False,
    resume: Annotated[
        Path | None, typer.Option(help="Finish what an interrupted sweep left in this folder.")
    ] = None,
    more: Annotated[
        int | None,
        typer.Option(metavar="N", help="Add N configurations to the finished sweeps of --from."),
    ] = None,
    from_: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="FOLDER", help="A finished sweep's results, with --more."),
    ] = None,
    price_per_hour: Price = None,
    currency: Currency = "USD",
) -> None:
    """Run a sweep and write its report.

    With --more N --from FOLDER (which may be given several times): N further configurations on the
    history that the finished sweep left, and one report over all of them. Without a sweep file, the
    first folder's own sweep goes on.

    Exit status: 0 finished, 1 failed, 2 wrong input, 3 out of its time budget, 130 after Ctrl-C,
    143 after SIGTERM. Whatever is not finished goes on with --resume FOLDER.
    """
    from tune_select.sweep.run import resume_sweep, run_sweep

    if resume is not None:
        if sweep is not None or override or more is not None or from_:
            _fail(
                "--resume takes the sweep as it was written; leave out the file and -o, and --more"
            )
        _end(lambda: resume_sweep(resume))
        return
    config = _load(sweep, override) if more is None else _going_on(sweep, override, more, from_)
    if more is None and from_:
        _fail("--from goes on with finished sweeps: say with --more N how many configurations")
    if dry_run:
        from tune_select.sweep.outlook.forecast import forecast
        from tune_select.sweep.preflight import rehearsal_text
        from tune_select.sweep.validation import preflight_sweep
        from tune_select.sweep.yaml_file import dump_sweep

        checked = preflight_sweep(config)
        typer.echo(dump_sweep(config))
        typer.echo(rehearsal_text(checked.rehearsal))
        _show_forecast(forecast(checked.plan, checked.dataset), price_per_hour, currency)
        return
    _end(lambda: run_sweep(config))


@app.command()
def validate(
    sweep: Path,
    override: Override = None,
    without_data: Annotated[
        bool,
        typer.Option("--without-data", help="Do not read the data set, which may be elsewhere."),
    ] = False,
    forecast: Annotated[
        bool, typer.Option(help="Measure a few steps and say what the sweep will cost.")
    ] = True,
    price_per_hour: Price = None,
    currency: Currency = "USD",
) -> None:
    """Check a sweep file, and say what it will train and cost, without running anything."""
    from tune_select.sweep.outlook.budget import training_budget
    from tune_select.sweep.outlook.forecast import forecast as forecast_of
    from tune_select.sweep.preflight import rehearsal_text
    from tune_select.sweep.validation import preflight_sweep, validate_sweep

    config, checked = _load(sweep, override), None
    if without_data:
        plan = validate_sweep(config, data=False)
    else:
        checked = preflight_sweep(config)
        plan = checked.plan
    typer.echo(f"{sweep} is fine: {plan.trials_text()}")
    budget = training_budget(plan)
    if budget is not None:
        typer.echo(f"at most {budget}")
    if checked is None:
        return
    typer.echo(rehearsal_text(checked.rehearsal))
    if forecast:
        _show_forecast(forecast_of(plan, checked.dataset), price_per_hour, currency)


@app.command()
def report(
    folder: Path,
    price_per_hour: Price = None,
    currency: Currency = "USD",
    level: Level = 0.95,
    top_k: TopK = 3,
    metric: Annotated[
        str | None, typer.Option(help="The reported name to compare by; by default the sweep's.")
    ] = None,
    mode: Annotated[Direction | None, typer.Option(help="Whether more or less is better.")] = None,
) -> None:
    """Write the report of a results folder again, or of the folder of any Tuner."""
    import analysis

    page = analysis.write_report(
        folder,
        metric=metric,
        mode=None if mode is None else mode.value,
        price_per_hour=price_per_hour,
        currency=currency,
        level=level,
        top_k=top_k,
    )
    typer.echo(page)


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(help="Results folders of several sweeps.")],
    output: Annotated[Path, typer.Option(help="Where the joint tables go.")] = Path("comparison"),
    level: Level = 0.95,
    top_k: TopK = 3,
) -> None:
    """Join several sweeps into the papers' tables."""
    import analysis

    typer.echo(analysis.compare(folders, output, level=level, top_k=top_k))


@history_app.command("show")
def show_history(path: str) -> None:
    """Print what a history holds."""
    from tune_select.history import SubsetHistory

    history = SubsetHistory.load(path)
    identity = history.identity
    state = "complete" if history.complete else "not complete"
    rungs = ", ".join(f"{rung:g}" for rung in identity.rungs)
    further = f" (and, for other rungs, {rungs})" if rungs else ""
    typer.echo(
        f"{path}: {identity.algorithm} on {identity.dataset.name} "
        f"({identity.dataset.size} examples), fraction {identity.fraction}{further}, "
        f"every {identity.select_every} epochs, {state}"
    )
    typer.echo(history.to_frame().to_string(index=False))


@data_app.command("check")
def check_data(sweep: Path, override: Override = None) -> None:
    """Open everything that a sweep's data holds once, and print what it is."""
    from tune_select.sweep.preflight.data import describe_data

    for line in describe_data(_load(sweep, override)):
        typer.echo(line)


@app.command()
def ui(
    folder: Path,
    port: Annotated[int | None, typer.Option(help="A free one is taken by default.")] = None,
    host: Annotated[str, typer.Option(help="Who may connect.")] = "127.0.0.1",
) -> None:
    """Open the MLflow page of a sweep."""
    from tune_select.tracking import serve

    # A service manager's SIGTERM is a Ctrl-C too, or it would leave the server behind.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    serve(folder, port=port, host=host)


def main() -> None:
    """Run the command line.

    A wrong input is one line on stderr and exit status 2, a disk that is full or cannot be written
    one line and 1.
    """
    keep_streams()
    end_on_signals()
    try:
        app()
    except (ValueError, FileNotFoundError) as error:  # a SweepError is a ValueError
        _fail(str(error))
    except OSError as error:
        _say(said_of(error))
        sys.exit(1)


def _load(sweep: Path | None, override: list[str] | None) -> SweepConfig:
    from tune_select.sweep.yaml_file import load_sweep

    if sweep is None:
        sweep = Path(str(importlib.resources.files("search_spaces") / _EMBEDDED))
    return load_sweep(sweep, override or [])


def _going_on(
    sweep: Path | None, override: list[str] | None, more: int, folders: list[str] | None
) -> SweepConfig:
    from tune_select.sweep.continuing.start import going_on, sweep_of

    if not folders:
        _fail("--more adds to finished sweeps: name their results folders with --from FOLDER")
    assert folders
    config = sweep_of(folders[0], override or []) if sweep is None else _load(sweep, override)
    return going_on(config, more, folders)


def _end(run: Callable[[], ResultsFolder]) -> None:
    """Run a sweep; what is said last, and the exit status, say how it ended."""
    from tune_select.sweep.run import SweepEndedError

    try:
        _finish(run())
    except SweepEndedError as error:
        if error.folder.has_report():
            _finish(error.folder)
        _say(str(error))
        sys.exit(error.ending.exit_status)


def _finish(folder: ResultsFolder) -> None:
    typer.echo(f"report  {folder.location}/report.html")
    if folder.read_sweep().get("tracking"):
        typer.echo(f"MLflow  tune-select ui {folder.location}")


def _show_forecast(found: Any, price_per_hour: float | None, currency: str) -> None:
    from tune_select.sweep.outlook.forecast_text import forecast_text

    if found is None:
        typer.echo("No forecast: the trainable offers none (trainables/README.md, forecast).")
        return
    typer.echo(forecast_text(found, price_per_hour, currency))


def _fail(message: str) -> None:
    _say(message)
    sys.exit(2)


def _say(message: str) -> None:
    typer.echo(f"tune-select: {mask_text(message)}", err=True)
