"""The errors of Hearsight: one root, so that a caller can catch everything that is ours with one name.

HearsightError          something went wrong; the message is a sentence for people        (command line: exit 1)
  InputError            what the user gave cannot be used; the message says what, the rule,
                        the value and the remedy                                          (command line: exit 2)
"""


class HearsightError(Exception):
    """Root of every error raised on purpose by Hearsight. Its text is one sentence a person can act on."""


class InputError(HearsightError):
    """The user's input cannot be used: the text names the thing, the rule, the value and what to do instead."""
