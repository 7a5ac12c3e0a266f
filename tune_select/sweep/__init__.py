"""A sweep: its YAML, its plan, its run, its tables."""

from tune_select import siblings

siblings.claim()  # the sweep imports analysis, and names trainables and search_spaces
