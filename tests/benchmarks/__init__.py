"""Benchmarks: ``python -m pytest -m slow -s tests/benchmarks`` measures and checks them all."""
