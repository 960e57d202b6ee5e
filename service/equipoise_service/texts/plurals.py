"""Which form of a text a number takes: the one place that knows how a language counts."""


def form(number: int) -> str:
    """The ending of the key of the text for so many: `one` or `many`, as English has them.

    Example:
        >>> form(1), form(0), form(2)
        ('one', 'many', 'many')
    """
    return "one" if number == 1 else "many"
