"""One page that says everything about a set of runs."""
