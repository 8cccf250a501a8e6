"""Gatehouse, its peer and direct calls side by side on one machine: ``python -m bench``."""
