"""Tables, statistics, figures and the report of a sweep, from its results folder alone."""

from analysis.load import Results, ResultsError, load
from analysis.options import ReportOptions
from analysis.report import build_report, write_report

__all__ = ["ReportOptions", "Results", "ResultsError", "build_report", "load", "write_report"]
