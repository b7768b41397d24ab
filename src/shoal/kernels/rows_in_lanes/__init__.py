"""Lanes are rows: L rows of one net are computed side by side."""
