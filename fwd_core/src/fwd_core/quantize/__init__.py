"""Int8: calibration, and graphs that say where they compute in eight bits."""
