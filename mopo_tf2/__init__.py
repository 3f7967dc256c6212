"""MOPO (Yu et al. 2020) in TensorFlow 2, faithful to the numbers of the original program."""

__version__ = "0.2.0"
