"""Thin adapters of ``SubsetSampler`` to training frameworks; each needs its framework alone.

``function``: plain functions under Ray Tune. ``lightning``, ``transformers``, ``accelerate``: the
frameworks of those names.
"""
