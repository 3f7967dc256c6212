"""Errors that are the user's to mend."""


class InputError(ValueError):
    """Something the user gave (a file, a value, a name, a folder) is unfit.

    The message is one line that says what was expected, what came and what to do. The command
    line prints it without a traceback and exits with code 2.
    """


class DivergenceError(ArithmeticError):
    """Training met a NaN or infinite number and stopped; the message says where."""
