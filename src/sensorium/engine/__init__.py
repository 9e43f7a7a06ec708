"""Where work happens: local processes, the machine, progress."""
