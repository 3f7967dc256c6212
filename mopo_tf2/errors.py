"""Errors that the user can fix, and how they are said."""


def printable(text: str) -> str:
    """Return ``text`` in one line, with codes for characters that a terminal would obey."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.split()))


class InputError(ValueError):
    """Something that the user gave (a file, a value, a name, a folder) is invalid.

    The message is one line that says what was expected, what came and what to do. The command
    line prints it without a traceback and exits with code 2.
    """


class DivergenceError(ArithmeticError):
    """Training stopped at a NaN or infinite number; the message says where."""
