"""Benchmarks: asv suites (asv_*.py), rivals, the side-by-side test, the speed goals (compare)."""
