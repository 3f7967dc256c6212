"""The configurations that ship."""
