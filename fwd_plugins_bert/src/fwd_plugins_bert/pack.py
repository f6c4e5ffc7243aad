"""Hooks of the pack; its fusions and lowerings will enter here."""
