"""Measurements on the CPU, through OpenVINO."""
