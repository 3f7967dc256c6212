"""The cases, in the order in which they are recorded."""

CASES, META = {}, {}


def case(source, about):
    """Register a function that returns the arrays of one case, by name.

    ``source`` is where in the original it looks, ``about`` what it shows; both go into the
    manifest, and ``about`` becomes the function's docstring.
    """

    def deco(f):
        f.__doc__ = about
        CASES[f.__name__] = f
        META[f.__name__] = {'source': source, 'about': about}
        return f

    return deco
