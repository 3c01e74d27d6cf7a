"""The one exception meant for the person at the keyboard."""


class UserError(Exception):
    """One clear sentence: what is wrong and what to type next.

    The command line prints it without a traceback and leaves with exit code 2.
    """
