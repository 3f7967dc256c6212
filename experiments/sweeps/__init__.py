"""Many runs at once: which, where, by whom, and what became of each."""
