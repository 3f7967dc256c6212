"""Errors that the user can fix."""


class InputError(ValueError):
    """Something that the user gave (a file, a value, a name, a folder) is invalid.

    The message is one line that says what was expected, what came and what to do. The command
    line prints it without a traceback and exits with code 2.
    """


class DivergenceError(ArithmeticError):
    """Training stopped at a NaN or infinite number; the message says where."""
