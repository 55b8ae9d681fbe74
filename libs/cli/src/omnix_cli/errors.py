"""How a command ends when it cannot do what it was asked.

::

    CommandError          one line for the reader: what is wrong and what to do
    └── UsageError        the command, a file it names or a variable is wrong; exit code 2
"""


class CommandError(Exception):
    """Ends the command with its message on standard error and ``exit_code``."""

    exit_code = 1


class UsageError(CommandError):
    """The reader must change the command, a file it names or a variable."""

    exit_code = 2
