"""Pages and verdicts made from result files."""
