"""The errors that cnnlab reports to people: one line, and what to do about it."""


class CnnlabError(Exception):
    """Something failed in a way the message explains; commands print it and exit 1."""

    exit_code = 1


class UsageError(CnnlabError):
    """An option or argument is wrong; commands print the message and exit 2."""

    exit_code = 2


class DataError(CnnlabError):
    """A data file is missing, damaged or not what it claims to be."""


class NonFiniteError(CnnlabError):
    """The loss, a weight or an output became NaN or infinite."""
