"""Rooms that make weights from raw or weakly paired data."""
