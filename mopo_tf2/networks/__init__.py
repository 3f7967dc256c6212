"""Layers and networks: they take numbers and tensors, no configuration objects."""
