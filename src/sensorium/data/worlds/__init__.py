"""Miniature worlds with ground truth, deterministic and drawn here."""
