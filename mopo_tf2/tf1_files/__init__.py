"""The files of the original: its ensembles (``.mat``, ``.nns``) and run checkpoints (``.pkl``).

They are read into plain arrays and sizes, without the classes of ensemble and policy. The files do
not hold the elites, the hold-out losses and the optimisers (Q-14).
"""

from mopo_tf2.tf1_files.models import SavedModel, read_model, write_model
from mopo_tf2.tf1_files.policies import SavedPolicy, read_policy

__all__ = ["SavedModel", "SavedPolicy", "read_model", "read_policy", "write_model"]
