"""A recording set of other sizes and seeds, without a README, checks as well."""

import hashlib
import json

import numpy as np
import pytest

from mopo_tf2.types import Transitions
from parity.__main__ import main


def layer_case():
    """Two members of 3 -> 7 units, by NumPy in float64."""
    random_state = np.random.RandomState(3)
    kernel, bias = random_state.normal(size=(2, 3, 7)), random_state.normal(size=(2, 1, 7))
    shared, own = random_state.normal(size=(4, 3)), random_state.normal(size=(2, 4, 3))
    arrays = {"weights": kernel, "biases": bias, "input_2d": shared, "input_3d": own}
    arrays["weight_decay"] = np.array(0.25)
    for name, activation in (("linear", lambda x: x), ("tanh", np.tanh)):
        arrays[f"{name}/output_2d"] = activation(shared @ kernel + bias)
        arrays[f"{name}/output_3d"] = activation(own @ kernel + bias)
        arrays[f"{name}/decay"] = 0.25 * (kernel**2).sum() / 2
    return {name: np.asarray(values, np.float32) for name, values in arrays.items()}


def pool_case():
    """Seven rows and then six into a pool of nine, by NumPy."""
    random_state = np.random.RandomState(5)
    columns = [random_state.normal(size=(13, width)) for width in (4, 2, 4)]
    source = dict(zip(Transitions._fields, [*columns, np.arange(13.0)], strict=False))
    source = {name: values.astype(np.float32) for name, values in source.items()}
    source["terminals"] = np.arange(13) % 5 == 0
    arrays = {f"source/{name}": column for name, column in source.items()}
    arrays |= {"max_size": np.int64(9), "numpy_seed": np.int64(40), "splits": np.array([0, 7, 13])}
    stored = (np.arange(7), np.array([9, 10, 11, 12, 4, 5, 6, 7, 8]))
    for k, (rows, pointer) in enumerate(zip(stored, (7, 4), strict=True)):
        indices = np.random.RandomState(40 + k).randint(0, len(rows), 5)
        arrays[f"after_{k}/pointer"], arrays[f"after_{k}/size"] = np.int64(pointer), len(rows)
        arrays[f"after_{k}/random_indices"] = indices
        for name, column in source.items():
            held = column.reshape(13, -1)[rows]
            arrays[f"after_{k}/{name}"], arrays[f"after_{k}/random_batch/{name}"] = (
                held,
                held[indices],
            )
    return arrays


def run(folder, name, arrays):
    """Write a set of one case and compare it."""
    np.savez_compressed(folder / f"{name}.npz", **arrays)
    digest = hashlib.sha256((folder / f"{name}.npz").read_bytes()).hexdigest()
    manifest = {"cases": {name: {"file": f"{name}.npz", "sha256": digest}}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return main(["--recordings", str(folder), "--case", name])


@pytest.mark.parametrize(
    ("name", "arrays", "changed"),
    [
        ("fc_layer", layer_case(), "tanh/output_3d"),
        ("replay_pool", pool_case(), "after_1/actions"),
    ],
    ids=["fc_layer", "replay_pool"],
)
def test_other_sizes_pass_and_a_change_of_them_misses(tmp_path, capsys, name, arrays, changed):
    assert run(tmp_path, name, arrays) == 0, capsys.readouterr().out
    assert run(tmp_path, name, {**arrays, changed: arrays[changed] + np.float32(0.01)}) == 1
    assert changed in capsys.readouterr().out
