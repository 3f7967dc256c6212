"""The files of the original: its ensembles (``.mat``, ``.nns``) and run checkpoints (``.pkl``).

They are read into plain arrays and sizes; neither ensemble nor policy is known here. What the files
do not hold (Q-14): which members are elites, hold-out losses, and the optimisers.
"""

from mopo_tf2.tf1_files.models import SavedModel, read_model, write_model
from mopo_tf2.tf1_files.policies import SavedPolicy, read_policy

__all__ = ["SavedModel", "SavedPolicy", "read_model", "read_policy", "write_model"]
