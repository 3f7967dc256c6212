"""Algorithms: each yields one dict of metrics per epoch and does no input or output."""
