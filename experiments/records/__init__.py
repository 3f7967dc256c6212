"""Run folders read back: which runs there are, what they scored, which belong together."""
