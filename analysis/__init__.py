"""Tables, statistics, figures and the report of a sweep, from its results folder alone."""

from analysis.compare import build_comparison, compare
from analysis.options import ReportOptions
from analysis.questions.pictures import extreme_examples, write_examples
from analysis.report import build_report, write_report
from analysis.results.frames import ResultsError
from analysis.results.load import Results, load

__all__ = [
    "ReportOptions",
    "Results",
    "ResultsError",
    "build_comparison",
    "build_report",
    "compare",
    "extreme_examples",
    "load",
    "write_examples",
    "write_report",
]
