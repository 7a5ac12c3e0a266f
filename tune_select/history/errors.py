"""What can be wrong with a subset history."""


class HistoryError(Exception):
    """Something is wrong with a subset history."""


class HistoryMissingError(HistoryError):
    """There is no history at the place named."""


class HistoryCorruptError(HistoryError):
    """A file of the history is damaged, truncated or of an unknown format."""


class HistoryMismatchError(HistoryError):
    """A sound history that does not fit the trial which wants it."""


class HistoryConflictError(HistoryError):
    """A writer contradicts what the history already holds."""


class HistoryEndedError(HistoryError):
    """An interval was asked for that a complete history does not have."""


class HistoryUnavailableError(HistoryError):
    """The history's store could not be reached within the time allowed."""
