"""MOReL (Kidambi et al. 2020): its model, its planner, and the class that trains."""

from mopo_tf2.algorithms.morel.learner import MOReL

__all__ = ["MOReL"]
