"""``python -m fwd_core.cli`` is the program ``fwd``."""

from fwd_core.cli.main import main

main()
