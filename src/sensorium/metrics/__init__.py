"""Numbers: intervals, paired tests, retrieval, error rates."""
