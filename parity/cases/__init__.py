"""The cases: one small module per group, each a list of ``CASES``."""
