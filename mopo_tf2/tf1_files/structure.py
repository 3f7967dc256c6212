"""The text file beside a model of the original (``.nns``): one line per layer."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from mopo_tf2.errors import InputError

_LINE = re.compile(
    r"FC\(output_dim=(?P<units>\d+), input_dim=(?P<inputs>\d+), activation=(?P<activation>None|"
    r"'\w+'), weight_decay=(?P<decay>[\w.+-]+), ensemble_size=(?P<members>\d+)\)"
)


@dataclasses.dataclass(frozen=True)
class Layer:
    """One line of a ``.nns``: a batched dense layer.

    Attributes:
        units: size of the output.
        inputs: size of the input.
        activation: its name, None for a linear layer.
        weight_decay: coefficient; 0 is written as None.
        members: E.
    """

    units: int
    inputs: int
    activation: str | None
    weight_decay: float
    members: int

    def text(self) -> str:
        """Return the line. Original: mopo/models/fc.py:FC.__repr__."""
        activation = None if self.activation is None else repr(self.activation)
        return (
            f"FC(output_dim={self.units}, input_dim={self.inputs}, activation={activation}, "
            f"weight_decay={self.weight_decay or None}, ensemble_size={self.members})"
        )


def structure_texts(layers: Sequence[Layer], *, separate: bool) -> dict[str, str]:
    """Return the texts of an ensemble's files by the suffix that follows its name.

    Args:
        layers: the trunk, the head, and the variance head if there is one.
        separate: whether there is a variance head, which has a separate file.

    Original: mopo/models/bnn.py:BNN.save
    """
    parts: dict[str, Sequence[Layer]] = {".nns": _repeated(layers)}
    if separate:
        parts = {".nns": layers[:-1], "_var.nns": layers[-1:]}
    return {
        suffix: "".join(f"{layer.text()}\n" for layer in lines) for suffix, lines in parts.items()
    }


def read_weight_decays(
    mat: Path, layers: Sequence[Layer], *, separate: bool
) -> tuple[float, ...] | None:
    """Return the weight decays, which only the ``.nns`` beside a ``.mat`` hold.

    Args:
        mat: the model's ``.mat``.
        layers: the layers by the shapes of the arrays, with decays of 0.
        separate: whether the last of them is a variance head.

    Returns:
        The weight decay of each layer, the last for the heads; None if there is no ``.nns``.

    Raises:
        InputError: if a text is invalid, or its structure differs from that of the arrays.

    Original: mopo/models/bnn.py:BNN._load_structure
    """
    main, variance = mat.with_suffix(".nns"), mat.with_name(f"{mat.stem}_var.nns")
    if not main.is_file():
        if variance.is_file():
            raise InputError(f"there is {variance}, but not {main.name} beside it.")
        return None
    found = _read_lines(main)
    if separate:
        if not variance.is_file():
            raise InputError(f"{mat} has a variance head: expected {variance.name} beside it.")
        found += _read_lines(variance)
    elif found == _repeated([*found[::2], found[-1]]):
        found = [*found[::2], found[-1]]
    if [dataclasses.replace(layer, weight_decay=0.0) for layer in found] != list(layers):
        raise InputError(
            f"{main} and {mat.name} disagree: the text says {_describe(found)}; the arrays say "
            f"{_describe(layers)}."
        )
    decays = tuple(layer.weight_decay for layer in found)
    if not separate:
        return decays
    if decays[-1] != decays[-2]:
        raise InputError(
            f"{variance} has the weight decay {decays[-1]}, the mean's head {decays[-2]}: only one "
            "decay for both heads can be imported (Q-03)."
        )
    return decays[:-1]


def _repeated(layers: Sequence[Layer]) -> list[Layer]:
    """Return the lines for one head as the original writes them: Q-14, it follows each layer."""
    return [line for layer in layers[:-1] for line in (layer, layers[-1])]


def _read_lines(path: Path) -> list[Layer]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    layers = []
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line.strip())
        decay = _decay(match["decay"]) if match else None
        if match is None or decay is None:
            raise InputError(
                f"{path}, line {number}: expected FC(output_dim=..., ...), got {line[:40]!r}."
            )
        activation = None if match["activation"] == "None" else match["activation"][1:-1]
        units, inputs, members = (int(match[name]) for name in ("units", "inputs", "members"))
        layers.append(Layer(units, inputs, activation, decay, members))
    if not layers:
        raise InputError(f"{path} is empty: expected one line a layer, or no such file.")
    return layers


def _decay(text: str) -> float | None:
    if text == "None":
        return 0.0
    try:
        return float(text)
    except ValueError:
        return None


def _describe(layers: Sequence[Layer]) -> str:
    text = (f"{x.members}x{x.inputs}x{x.units} {x.activation or 'linear'}" for x in layers)
    return ", ".join(text)
