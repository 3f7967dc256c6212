"""Everything that has a name, a path or a picture: command line, runs, logs, plots."""
