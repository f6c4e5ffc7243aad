"""Measurements beside the peers. Run them with ``nox -s bench``."""
