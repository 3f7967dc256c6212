"""A recording set of other sizes and seeds, without a README, checks as well."""

import hashlib
import json

import numpy as np

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


def run(folder, name, arrays):
    """Write a set of one case and compare it."""
    np.savez_compressed(folder / f"{name}.npz", **arrays)
    digest = hashlib.sha256((folder / f"{name}.npz").read_bytes()).hexdigest()
    manifest = {"cases": {name: {"file": f"{name}.npz", "sha256": digest}}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return main(["--recordings", str(folder), "--case", name])


def test_other_sizes_pass_and_a_change_of_them_misses(tmp_path, capsys):
    arrays, changed = layer_case(), "tanh/output_3d"
    assert run(tmp_path, "fc_layer", arrays) == 0, capsys.readouterr().out
    damaged = {**arrays, changed: arrays[changed] + np.float32(0.01)}
    assert run(tmp_path, "fc_layer", damaged) == 1
    assert changed in capsys.readouterr().out
