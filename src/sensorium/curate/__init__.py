"""Fewer or relabelled rows: metadata, matching, balancing."""
