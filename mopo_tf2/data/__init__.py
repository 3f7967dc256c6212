"""Offline data: files in, Transitions and pools out."""
