"""The report: one self-contained page, with its tables as CSV and its figures as SVG beside it."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from analysis.figures.svg import to_inline
from analysis.files import write_whole
from analysis.options import ReportOptions
from analysis.questions.headline import configurations, replays
from analysis.questions.ladder.answer import answer_sentences, answer_table
from analysis.questions.summary import summary
from analysis.questions.verdict import Verdict, verdict
from analysis.results.ending import ending_of
from analysis.results.frames import Mode
from analysis.results.load import Results, load
from analysis.results.settings import setting
from analysis.sections import (
    axes,
    choosing,
    costs,
    mattered,
    overview,
    parameters,
    promotion,
    selection,
    speed,
    trials,
)
from analysis.sections.ladder import answer, replayed, views
from analysis.sections.methods import (
    example_losses,
    losses,
    method,
    metric_parts,
    minibatch,
    step_parts,
    strategies,
    targets,
)
from analysis.tables import Gallery, Plot, Section, Table

SectionOf = Callable[[Results, ReportOptions], Section | None]

SECTIONS: tuple[SectionOf, ...] = (
    answer.section,
    overview.section,
    choosing.section,
    views.section,
    replayed.section,
    speed.section,
    costs.section,
    promotion.section,
    strategies.section,
    mattered.section,
    axes.section,
    targets.section,
    step_parts.section,
    selection.section,
    minibatch.section,
    metric_parts.section,
    losses.section,
    example_losses.section,
    parameters.section,
    trials.section,
    method.section,
)

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Report:
    """A report's content, before it is written.

    Attributes:
        results: What it is about.
        answer: What the sweep chose and cost beside its rivals; where one wins, that comes first.
        verdict: The executive sentence.
        summary: What the cheap sweep cost and lost, and what other searches on the same trainings
            would have, in sentences.
        sections: The sections in order.
        warnings: What failed or had to be assumed.
        ending: How the sweep ended, if it did not finish; said before anything else.
    """

    results: Results
    answer: Sequence[str]
    verdict: Verdict
    summary: Sequence[str]
    sections: Sequence[Section]
    warnings: Sequence[str]
    ending: str = ""


def build_report(results: Results, options: ReportOptions | None = None) -> Report:
    """Everything the report says about one sweep."""
    options = options or ReportOptions()
    sections = [section for make in SECTIONS if (section := make(results, options)) is not None]
    said = verdict(results, level=options.level, resamples=options.resamples)
    ending = ending_of(results.folder)
    chosen = answer_sentences(
        results, answer_table(results, level=options.level), level=options.level
    )
    # What else could have been done comes after what was.
    told = [*summary(results), *(one for section in sections for one in section.headline)]
    warnings = trials.warnings(results)
    return Report(results, chosen, said, told, sections, warnings, ending)


def write_report(
    folder: str | os.PathLike[str] | Results,
    *,
    metric: str | None = None,
    mode: Mode | None = None,
    **options: Any,
) -> Path:
    """Write ``report.html``, ``tables/*.csv`` and ``figures/*.svg`` with their CSV into ``folder``.

    Args:
        folder: A results folder, the folder of any Tuner, or results that were opened already
            (their ``folder`` is written into).
        metric: The metric as for :func:`analysis.load`.
        mode: The mode as for :func:`analysis.load`.
        options: Fields of :class:`ReportOptions`, such as ``price_per_hour``.

    Returns:
        The path of ``report.html``.

    Raises:
        ResultsError: The folder cannot be read.
        ValueError: An option is out of its range.
    """
    chosen = ReportOptions(**options)
    results = folder if isinstance(folder, Results) else load(folder, metric=metric, mode=mode)
    report = build_report(results, chosen)
    written = results.folder
    write_items(written, [item for section in report.sections for item in section.items])
    facts = _facts(report.results)
    page = render(
        title=report.results.name,
        facts=facts,
        outcome=report.verdict.outcome,
        summary=[
            said
            for said in (
                report.ending,
                *report.answer,
                *opening(report),
            )
            if said
        ],
        warnings=report.warnings,
        sections=report.sections,
    )
    return write_whole(written / "report.html", page)


def opening(report: Report) -> list[str]:
    """The verdict on replay before the rest; where nothing replays, the rest before it."""
    said = [report.verdict.sentence, report.verdict.details]
    asked = any(replays(report.results, arm) for arm in report.results.arms())
    return [*said, *report.summary] if asked else [*report.summary, *said]


def write_items(folder: Path, items: Sequence[Table | Plot | Gallery]) -> None:
    """Write tables as CSV, figures as SVG or PNG, and their numbers as CSV."""
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for item in items:
        if isinstance(item, Table):
            write_whole(folder / "tables" / f"{item.name}.csv", item.frame.to_csv(index=False))
            continue
        write_whole(folder / "figures" / f"{item.name}.csv", item.frame.to_csv(index=False))
        if isinstance(item, Plot):
            write_whole(folder / "figures" / f"{item.name}.svg", item.svg)
        else:
            write_whole(folder / "figures" / f"{item.name}.png", item.png)


def render(
    *,
    title: str,
    facts: Sequence[str],
    outcome: str,
    summary: Sequence[str],
    warnings: Sequence[str],
    sections: Sequence[Section],
) -> str:
    """The page as HTML; every string is escaped except our own style sheet, script and figures.

    Args:
        title: The title of the page.
        facts: Lines below the title.
        outcome: Name of the verdict, which colours the first sentence.
        summary: The sentences at the top, the verdict first.
        warnings: Sentences that a reader must not miss.
        sections: The sections in their order on the page.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    return environment.get_template("report.html").render(
        title=title,
        facts=facts,
        verdict={"outcome": outcome},
        summary=summary,
        warnings=warnings,
        sections=[_Rendered.of(section) for section in sections],
        css=Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")),
        js=Markup((_TEMPLATES / "report.js").read_text(encoding="utf-8")),
        footer="Written by tune-select from the results folder alone.",
    )


def _unbroken(title: str) -> Markup:
    """A heading whose hyphenated words stay on one line."""
    words = [
        Markup('<span class="nb">{}</span>').format(word)
        if "-" in word
        else Markup("{}").format(word)
        for word in title.split(" ")
    ]
    return Markup(" ").join(words)


@dataclass(frozen=True)
class _Group:
    """Neighbours of a kind: pictures share a grid, narrow tables a row."""

    kind: str
    plots: tuple[dict[str, Any], ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class _Rendered:
    id: str
    title: str
    paragraphs: Sequence[str]
    open: bool
    groups: Sequence[_Group]
    preformatted: Sequence[tuple[str, str]]

    @classmethod
    def of(cls, section: Section) -> _Rendered:
        groups: list[_Group] = []
        for item in section.items:
            kind = "tables" if isinstance(item, Table) else "plots"
            if not groups or groups[-1].kind != kind:
                groups.append(_Group(kind))
            last = groups.pop()
            if isinstance(item, Table):
                groups.append(replace(last, tables=(*last.tables, item)))
            else:
                groups.append(replace(last, plots=(*last.plots, _drawn(item))))
        return cls(
            section.id,
            section.title,
            section.paragraphs,
            section.open,
            groups,
            section.preformatted,
        )


def _drawn(item: Plot | Gallery) -> dict[str, Any]:
    """What the template needs of a picture."""
    said = {"name": item.name, "title": item.title, "caption": item.caption}
    if isinstance(item, Plot):
        return {**said, "svg": Markup(to_inline(item.svg, item.name, item.alt))}
    data = base64.b64encode(item.png).decode()
    return {**said, "data": data, "width": item.width, "height": item.height, "alt": item.alt}


def _facts(results: Results) -> list[str]:
    """The line under the title."""
    data = results.sweep.get("data")
    name = data.get("name") if isinstance(data, dict) else None
    search = results.search
    subsets = search[search["arm"] != "full"]
    fractions = pd.to_numeric(setting(subsets, results.sweep, "fraction"), errors="coerce")
    sizes = sorted(float(value) for value in fractions.dropna().unique())
    facts = [f"data: {name}"] if name else []
    if sizes:
        facts.append(f"subsets: {', '.join(f'{100 * f:g}%' for f in sizes)} of the training data")
    tried = configurations(results)
    facts.append(f"{tried} configuration{'s' if tried != 1 else ''}")
    seeds = search["seed"].nunique()
    facts.append(f"{seeds} training seed{'s' if seeds != 1 else ''}")
    facts.append(f"{len(results.trials)} trials")
    return facts
