"""Rows: where they come from, how media are decoded, in which order they are visited."""
