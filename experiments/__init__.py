"""The command line, run folders, results, tables and plots."""
