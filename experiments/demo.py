"""``mopo-tf2 demo``: a short real run on the dataset that ships."""

import shutil
from pathlib import Path

from .logging import read_progress
from .pictures.plots import plot_learning_curves
from .run import Interrupted, start_run
from .run_spec import Overrides, RunSpec, build_spec, read_spec
from mopo_tf2.data.catalog import SHIPPED_ID
from mopo_tf2.errors import InputError

DEMO_SETTINGS = {"model_max_epochs": "20", "n_epochs": "10"}
"""What makes the demo short; everything else is the original's full-size configuration."""


def run_demo(folder: Path) -> int:
    """Train in ``folder`` (made anew), show the return before and after, and how to go on.

    Raises:
        InputError: if ``folder`` holds something else than a former demo.
    """
    spec = build_spec("halfcheetah_mixed", Overrides(dataset=SHIPPED_ID, settings=DEMO_SETTINGS))
    _make_room(folder, spec)
    print(
        f"demo: MOPO with its full-size networks on {SHIPPED_ID} (100,899 real transitions), cut "
        f"short: {DEMO_SETTINGS['model_max_epochs']} epochs of model training (the original "
        f"stops early after about 150) and {spec.algorithm.n_epochs} epochs of policy training "
        "(the original takes 1000). It takes some minutes.",
        flush=True,
    )
    try:
        start_run(spec, folder)
    except Interrupted as interrupted:
        print(interrupted, flush=True)
        return 130
    curve = plot_learning_curves([folder], folder / "curves.png")
    progress = read_progress(folder)
    returns = progress["evaluation/return-average"]
    scores = progress["evaluation/normalized-score"]
    print(
        f"\nreturn of the policy in the real HalfCheetah: {returns.iloc[0]:.0f} after the first "
        f"epoch, {returns.iloc[-1]:.0f} after the last (normalised score {scores.iloc[0]:.1f} -> "
        f"{scores.iloc[-1]:.1f}; the data's own episodes return 2,438 on average).\n"
        f"learning curve: {curve}\n"
        f"table:          {folder / 'progress.csv'}\n"
        f"policy, model:  {folder / 'policy'}, {folder / 'model'}\n\n"
        "the real thing (the paper's configuration):\n"
        f"  .venv/bin/mopo-tf2 train halfcheetah_mixed --dataset {SHIPPED_ID}\n"
        f"watch this policy: .venv/bin/mopo-tf2 evaluate {folder}",
        flush=True,
    )
    return 0


def _make_room(folder: Path, spec: RunSpec) -> None:
    """Remove a former demo, and nothing else."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / "config.json").is_file() or read_spec(folder / "config.json") != spec:
        raise InputError(f"{folder} exists and is no former demo: choose another --out.")
    shutil.rmtree(folder)
