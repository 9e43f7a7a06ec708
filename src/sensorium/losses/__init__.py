"""Training losses, each against a slow reference."""
