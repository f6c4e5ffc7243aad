"""The program ``fwd``. Each subcommand is a module that registers by the hook for commands."""
