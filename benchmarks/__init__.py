"""Measurements: ``python -m benchmarks.NAME``; the last line each prints is one JSON object."""
