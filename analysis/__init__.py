"""Tables, statistics, figures and the report of a sweep, from its results folder alone."""

from analysis.compare import build_comparison, compare
from analysis.options import ReportOptions
from analysis.questions.pictures import extreme_examples, write_examples
from analysis.report import build_report, write_report
from analysis.results.frames import ResultsError
from analysis.results.load import Results, load
from analysis.results.result_grid import from_results

__all__ = [
    "ReportOptions",
    "Results",
    "ResultsError",
    "build_comparison",
    "build_report",
    "compare",
    "extreme_examples",
    "from_results",
    "load",
    "write_examples",
    "write_report",
]
