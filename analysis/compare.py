"""Several sweeps beside each other, in the papers' tables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.files import write_whole
from analysis.options import ReportOptions
from analysis.questions.methods.strategies import sweep_names
from analysis.report import render, write_items
from analysis.results.load import Results, load
from analysis.sections import comparison
from analysis.tables import Section


def compare(
    folders: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] = "comparison",
    **options: Any,
) -> Path:
    """Join results folders into one page, with its tables as CSV and figures as SVG beside it.

    Tables 1-3 and 5 of Cai et al., 2 and 5-11 of Killamsetty et al., 1 of Jiang et al., 3 and 4 of
    Zhang et al., as far as the sweeps hold them; missing cells are named, never filled.

    Args:
        folders: Two results folders or more, of different fractions, seeds, data sets.
        out: Folder to write; made where it is missing.
        options: Fields of :class:`ReportOptions`.

    Returns:
        The path of ``comparison.html``.

    Raises:
        ResultsError: A folder cannot be read.
        ValueError: No folder, one folder twice, or an option out of its range.
    """
    chosen = ReportOptions(**options)
    resolved = [Path(folder).resolve() for folder in folders]
    if not resolved:
        raise ValueError("folders is empty: name at least one results folder")
    if len(set(resolved)) != len(resolved):
        raise ValueError(f"folders names a folder twice: {', '.join(map(str, folders))}")
    sweeps = [load(folder) for folder in resolved]
    sections = build_comparison(sweeps, chosen)
    target = Path(out)
    target.mkdir(parents=True, exist_ok=True)
    write_items(target, [item for section in sections for item in section.items])
    page = render(
        title="Comparison of sweeps",
        facts=sweep_names(sweeps),
        outcome="unknown",
        summary=comparison.summary(sweeps, chosen),
        warnings=comparison.warnings(sweeps),
        sections=sections,
    )
    return write_whole(target / "comparison.html", page)


def build_comparison(
    sweeps: Sequence[Results], options: ReportOptions | None = None
) -> list[Section]:
    """The comparison's sections, without writing anything."""
    options = options or ReportOptions()
    made = [make(sweeps, options) for make in comparison.SECTIONS]
    return [section for section in made if section is not None and section.items]
