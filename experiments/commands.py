"""What each command does; heavy modules are imported only where they are used."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mopo_tf2.config import MOPOConfig
from mopo_tf2.config_fields import parse_settings
from mopo_tf2.errors import InputError

if TYPE_CHECKING:
    from .run_spec import Overrides


def _overrides(options: argparse.Namespace) -> "Overrides":
    """Gather what the options change in a configuration."""
    from .run_spec import Overrides

    settings = parse_settings(options.settings)
    if getattr(options, "epochs", None) is not None:
        if "n_epochs" in settings:
            raise InputError("--epochs is short for --set n_epochs: give one of them.")
        settings["n_epochs"] = str(options.epochs)
    model = getattr(options, "model", None)
    return Overrides(
        dataset=options.dataset,
        environment=options.environment,
        termination=options.termination,
        physics=options.physics,
        seed=options.seed,
        method=options.algorithm,
        model=None if model is None else str(model),
        settings=settings,
    )


def _default_folder(options: argparse.Namespace, kind: str) -> Path:
    from .run_spec import method_folder

    name = method_folder(Path(options.config).stem, options.algorithm)
    return Path("runs", name, f"{kind}_{options.seed or 0}")


def train(options: argparse.Namespace) -> int:
    """Train, or resume a run."""
    from mopo_tf2.device import use_device

    use_device(options.device, tf32=options.tf32)
    from .exports import with_model_architecture
    from .own_data import closing_line
    from .run import Interrupted, resume_run, start_run
    from .run_spec import build_spec, read_spec

    overrides = _overrides(options)
    folder = options.out or _default_folder(options, "seed")
    try:
        if options.resume:
            algorithm = resume_run(folder, options.config, overrides)
        else:
            spec = with_model_architecture(
                build_spec(options.config, overrides), set(overrides.settings)
            )
            algorithm = start_run(spec, folder)
    except Interrupted as interrupted:
        print(interrupted, flush=True)
        return 130
    remark = closing_line(read_spec(folder / "config.json"))
    if remark is not None:
        print(remark, flush=True)
    print(
        f"{algorithm.epoch} epochs done. Look at it with: mopo-tf2 plot {folder}, "
        f"mopo-tf2 evaluate {folder}",
        flush=True,
    )
    return 0


def train_model(options: argparse.Namespace) -> int:
    """Train an ensemble only."""
    from mopo_tf2.device import use_device

    use_device(options.device, tf32=options.tf32)
    from .run import Interrupted, start_run
    from .run_spec import build_spec

    spec = build_spec(options.config, _overrides(options))
    if not isinstance(spec.algorithm, MOPOConfig):
        raise InputError(
            f"train-model trains MOPO's ensemble, which {spec.method} has not: use mopo-tf2 train."
        )
    folder = options.out or _default_folder(options, "model")
    try:
        algorithm = start_run(spec, folder, model_only=True)
    except Interrupted as interrupted:
        print(interrupted, flush=True)
        return 130
    print(
        f"hold-out loss {algorithm.model_metrics['model/val_loss']:.4g}. "
        f"Use it with: mopo-tf2 train {spec.name} --model {folder}",
        flush=True,
    )
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Run a run's policy in its real environment."""
    from .film import keep_graphics_for_films
    from mopo_tf2.device import use_device

    keep_graphics_for_films()

    use_device()
    from .evaluate import evaluate_run

    print(evaluate_run(options.run, options.episodes, options.seed, options.video), flush=True)
    return 0


def demo(options: argparse.Namespace) -> int:
    """Run the demo."""
    from mopo_tf2.device import use_device

    use_device()
    from .demo import run_demo

    return run_demo(options.out)


def parity_curves(options: argparse.Namespace) -> int:
    """Compare learning curves with the original's."""
    from mopo_tf2.parity.curve_report import parity_curves

    text, is_fault = parity_curves(options.reference, options.runs, options.out)
    print(text, flush=True)
    return int(is_fault)


def import_tf1(options: argparse.Namespace) -> int:
    """Make a run folder of the original's files."""
    from .tf1_folders import import_tf1

    print(
        import_tf1(options.folder, options.out, name=options.name, environment=options.environment),
        flush=True,
    )
    return 0


def export_tf1(options: argparse.Namespace) -> int:
    """Write a run's model as the original's files."""
    from .tf1_folders import export_tf1

    print(export_tf1(options.run, options.out, options.name), flush=True)
    return 0
