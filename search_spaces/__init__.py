"""Ready-made spaces: functions that return Ray Tune spaces, and one that Optuna runs.

Name one in a sweep (``space: search_spaces.learning_rates``) or call it in a search of your own.
"""

from search_spaces.mixed import define_by_run, mixed
from search_spaces.paper_axes import architectures, learning_rates, optimizers
from search_spaces.small import digits
from search_spaces.stretch import learning_rate_stretch, small_learning_rate_stretch

__all__ = [
    "architectures",
    "define_by_run",
    "digits",
    "learning_rate_stretch",
    "learning_rates",
    "mixed",
    "optimizers",
    "small_learning_rate_stretch",
]
