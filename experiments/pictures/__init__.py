"""Learning curves and diagnostics as pictures."""
