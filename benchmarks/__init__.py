"""What is claimed to be fast, as commands."""
