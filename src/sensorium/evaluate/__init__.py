"""A number: running tasks on models."""
