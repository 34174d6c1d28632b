"""Figures, not tests: `make bench` prints how long the main jobs take on this machine (docs/performance.md)."""
