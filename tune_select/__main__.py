"""``python -m tune_select`` is ``tune-select``."""

from tune_select.cli import main

main()
