"""Data sets as read-only arrays that trials share, and what identifies them."""

from trainables.data.identity import DatasetIdentity

__all__ = ["DatasetIdentity"]
