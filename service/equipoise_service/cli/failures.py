"""What a command says when it cannot go on."""


class Failure(Exception):
    """A command cannot do what it was asked; the message says why and what to do."""
