"""Restricted unpickling: only NumPy arrays and plain containers are read (D-62).

A pickle is a program. Here a policy decides about every global name in it, and NumPy's helpers are
replaced by functions that build numeric arrays from plain numbers, because NumPy's own accept
states that make it read foreign memory.
"""

import collections
import contextlib
import gzip
import pickle
import pickletools
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mopo_tf2.errors import InputError
from mopo_tf2.memory import machine_memory

AdmitFn = Callable[[str, str], Any]
"""Policy of an unpickler: (module, name) -> the object for this name; raises to refuse it."""

_GZIP_MAGIC = b"\x1f\x8b"
_LARGEST_GZIP_RATIO = 1_100
"""Deflate makes 1,032 bytes of one at most."""
_NUMERIC_KINDS = "biufc"
_TEXT_ENCODINGS = ("latin1", "latin-1", "iso-8859-1", "ascii", "utf-8", "utf8")
_CONTAINERS = {
    "complex": complex,
    "dict": dict,
    "frozenset": frozenset,
    "list": list,
    "set": set,
    "tuple": tuple,
}


class RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that resolves every global name of the pickle through ``admit``."""

    def __init__(self, file: Any, *, admit: AdmitFn) -> None:
        """Read from the binary ``file``; byte strings of Python 2 are decoded as latin-1."""
        super().__init__(file, encoding="latin1")
        self._admit = admit

    def find_class(self, module: str, name: str) -> Any:
        """Return the policy's object for this name."""
        return self._admit(module, name)

    def persistent_load(self, pid: Any) -> Any:
        """Refuse references to objects outside the pickle."""
        raise InputError(f"the pickle refers to an object outside itself ({pid!r}); refused.")


def numpy_and_containers(module: str, name: str) -> Any:
    """Admit numeric NumPy arrays, scalars and dtypes, and plain containers (the default policy).

    Raises:
        InputError: for every other name.
    """
    admitted = _NAMES.get((module, name))
    if admitted is None:
        raise InputError(
            f"the pickle asks for {module}.{name}; only NumPy arrays of numbers and plain "
            "containers are read. Nothing of it was run."
        )
    return admitted


def load_pickle(path: str | Path, *, admit: AdmitFn = numpy_and_containers) -> Any:
    """Read a pickle, gzipped or not, under a policy.

    Args:
        path: the file; its first bytes show whether it is gzipped.
        admit: the policy for global names.

    Returns:
        The object. Its arrays are of a subclass of ``numpy.ndarray``; ``np.asarray`` strips that.

    Raises:
        InputError: if the file is missing, truncated or not a pickle, or the policy refuses a name.

    Original: mopo/off_policy/loader.py:restore_pool_bear
    """
    path = Path(path)
    try:
        with _opened(path) as stream:
            _check_program(stream)
        with _opened(path) as stream:
            return RestrictedUnpickler(stream, admit=admit).load()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is truncated or damaged ({error}); copy it anew.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except RecursionError as error:
        raise InputError(f"{path} is nested too deeply to be a data file.") from error
    except Exception as error:
        raise InputError(
            f"{path} is not a pickle that can be read ({type(error).__name__}: {error})."
        ) from error


class _Bounded:
    """A binary stream that refuses to give more bytes than ``limit``, before it reads them."""

    def __init__(self, file: Any, limit: int) -> None:
        self._file, self._left = file, limit

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise InputError("truncated or damaged: it declares more data than the file holds.")

    def read(self, count: int) -> bytes:
        """Return the next ``count`` bytes, fewer at the end."""
        self._take(count)
        return bytes(self._file.read(count))

    def readline(self) -> bytes:
        """Return the next line."""
        line = bytes(self._file.readline(self._left + 1))
        self._take(len(line))
        return line


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Bounded]:
    """Open a pickle, gzipped or not, for at most as many bytes as it can hold."""
    with open(path, "rb") as plain:
        size = path.stat().st_size
        gzipped = plain.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        plain.seek(0)
        if gzipped:
            largest = min(_LARGEST_GZIP_RATIO * size, machine_memory())
            yield _Bounded(gzip.GzipFile(fileobj=plain), largest)
        else:
            yield _Bounded(plain, size)


def _check_program(stream: _Bounded) -> None:
    """Refuse declared lengths beyond the file and memo numbers beyond what the pickle stores.

    The unpickler reserves memory for both before it looks further.
    """
    stored = 0
    for opcode, argument, _ in pickletools.genops(stream):  # type: ignore[arg-type]
        if "PUT" in opcode.name or opcode.name == "MEMOIZE":
            if isinstance(argument, int) and argument > stored + 1:
                raise InputError(f"the pickle numbers its objects beyond their count ({argument}).")
            stored += 1


def number_array(values: Any, name: str) -> npt.NDArray[Any]:
    """Return an array of a pickle, or a list of numbers or of arrays, as an array.

    Lists within lists are refused: a short pickle can let them stand for any number of values.

    Raises:
        InputError: if ``values`` is something else; ``name`` names it.
    """
    parts = values if isinstance(values, list | tuple) else [values]
    if all(isinstance(part, np.ndarray | np.generic | int | float) for part in parts):
        try:
            return np.asarray(values)
        except ValueError as error:
            raise InputError(f"{name} holds arrays of unequal shapes.") from error
    kinds = sorted({type(part).__name__ for part in parts})
    raise InputError(f"{name} must hold numbers, got {' and '.join(kinds)}.")


def _no_size(kind: type) -> Callable[..., Any]:
    """Return the constructor ``kind`` without its form that takes a length."""

    def construct(*arguments: Any) -> Any:
        if arguments and isinstance(arguments[0], int):
            raise InputError(f"the pickle asks for {arguments[0]} empty bytes; refused.")
        return kind(*arguments)

    return construct


class _Dtype:
    """Stands for ``numpy.dtype``: keeps a numeric type and, from its state, the byte order only."""

    def __init__(self, spec: str, align: bool = False, copy: bool = False) -> None:
        if not isinstance(spec, str):
            raise InputError(f"the pickle holds an array of the type {spec!r}; expected numbers.")
        self.value = np.dtype(spec)
        self._check()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        if order not in ("<", ">", "=", "|"):
            raise InputError(f"the pickle holds an array with the byte order {order!r}.")
        if order in "<>":
            self.value = self.value.newbyteorder(order)
        self._check()

    def _check(self) -> None:
        if self.value.kind not in _NUMERIC_KINDS:
            raise InputError(
                f"the pickle holds an array of the type {self.value}; only numbers are read."
            )


class _Array(np.ndarray[Any, Any]):
    """An array under construction: accepts the state of a pickled array of plain numbers."""

    _is_built = False

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if self._is_built:  # NumPy would free the data under views of it
            raise InputError("the pickle builds an array twice; refused.")
        self._is_built = True
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Dtype):
            raise InputError("the pickle holds an array of an unknown type; expected numbers.")
        if isinstance(raw, str):  # a Python 2 pickle
            raw = raw.encode("latin1")
        super().__setstate__((1, shape, dtype.value, fortran, raw))


class _ArrayType:
    """Stands for the name ``numpy.ndarray`` in a pickle; cannot make arrays by itself."""


def _reconstruct(subtype: type, shape: Any, typecode: Any) -> npt.NDArray[Any]:
    if subtype is not _ArrayType:
        raise InputError("the pickle holds a special kind of array; only plain ones are read.")
    return np.zeros(0, dtype=np.uint8).view(_Array)


def _scalar(dtype: _Dtype, raw: bytes | str) -> Any:
    data = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
    return np.frombuffer(data, dtype=dtype.value)[0]


def _frombuffer(data: Any, dtype: _Dtype, shape: Any, order: str) -> npt.NDArray[Any]:
    array = np.frombuffer(bytearray(data), dtype=dtype.value)
    return np.asarray(array.reshape(tuple(shape), order="F" if order == "F" else "C"))


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding.lower() not in _TEXT_ENCODINGS:
        raise InputError(f"the pickle encodes text as {encoding!r}; refused.")
    return text.encode(encoding)


def _admitted_names() -> dict[tuple[str, str], Any]:
    names: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): _ArrayType,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _encode,
        ("collections", "OrderedDict"): collections.OrderedDict,
    }
    for core in ("numpy.core", "numpy._core"):  # before and since NumPy 2
        names[f"{core}.multiarray", "_reconstruct"] = _reconstruct
        names[f"{core}.multiarray", "scalar"] = _scalar
        names[f"{core}.numeric", "_frombuffer"] = _frombuffer
    for builtins in ("builtins", "__builtin__"):  # Python 3, and protocol 2 or Python 2
        names.update({(builtins, name): kind for name, kind in _CONTAINERS.items()})
        names.update({(builtins, kind.__name__): _no_size(kind) for kind in (bytes, bytearray)})
    return names


_NAMES = _admitted_names()


class Placeholder:
    """Replaces an object of a class that is not read; it stores what the pickle holds of it.

    Nothing that a pickle does to it (call it, set its state, add elements) runs code.

    Attributes:
        source: the name in the pickle, ``module.name``.
        arguments: the arguments that it was created or called with.
        state: its pickled state, None if it had none.
    """

    source = ""
    state: Any = None
    arguments: tuple[Any, ...] = ()

    def __new__(cls, *arguments: Any, **_: Any) -> "Placeholder":
        """Store the arguments."""
        made = super().__new__(cls)
        made.arguments = arguments
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *arguments: Any, **_: Any) -> "Placeholder":
        """Return another placeholder instead of calling anything."""
        return type(self)(*arguments)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        """Ignore an element, as ``extend`` and ``add`` do."""

    extend = add = append

    def __repr__(self) -> str:
        return f"<placeholder of {self.source}>"


class _LenientArray(_Array):
    """An array under construction that stays empty if its elements are not numbers."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if not isinstance(state[2], Placeholder):
            super().__setstate__(state)


def _lenient_reconstruct(*arguments: Any) -> npt.NDArray[Any]:
    return _reconstruct(*arguments).view(_LenientArray)


def _lenient_dtype(spec: Any, *_: Any) -> Any:
    is_numeric = isinstance(spec, str) and spec.strip("<>=|")[:1] in _NUMERIC_KINDS
    return _Dtype(spec) if is_numeric else Placeholder(spec)


def placeholders_for_the_rest(module: str, name: str) -> Any:
    """Admit what ``numpy_and_containers`` admits; every other name is a ``Placeholder``.

    A policy for files with objects of programs that are not installed. Nothing of the pickle is run
    either, but an unknown name does not make the file unreadable.
    """
    if (module, name) == ("numpy", "dtype"):
        return _lenient_dtype
    if name == "_reconstruct" and (module, name) in _NAMES:
        return _lenient_reconstruct
    if (module, name) in _NAMES:
        return _NAMES[module, name]
    return type("Placeholder", (Placeholder,), {"source": f"{module}.{name}"})
