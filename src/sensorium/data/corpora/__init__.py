"""Real public corpora: one file per official layout."""
