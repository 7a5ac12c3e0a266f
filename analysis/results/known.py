"""Filling what is missing in columns of any type, alike in every version of pandas.

In pandas 2, ``where``, ``fillna`` and ``bfill`` of object columns change types on their way, and
warn of it; in pandas 3 they keep them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def first_known(*values: pd.Series | Any) -> pd.Series:
    """What the first of several columns says that is not missing, row by row.

    Args:
        *values: Columns with the same index, the first of them at least; or a value for all rows.

    Returns:
        An object column; ``None`` where none says anything.
    """
    index = values[0].index
    result = np.full(len(index), None, dtype=object)
    for value in values:
        missing = pd.isna(result)
        if isinstance(value, pd.Series):
            missing &= value.notna().to_numpy(dtype=bool)
            result[missing] = value.to_numpy(dtype=object)[missing]
        else:
            result[missing] = value
    return pd.Series(result, index=index, dtype=object)
