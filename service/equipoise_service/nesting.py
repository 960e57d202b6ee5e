"""How deeply JSON values nest."""


def depth(value: object) -> int:
    """How many objects and arrays lie within each other, at most; needs no stack however many they are.

    Example:
        >>> depth("text"), depth({}), depth({"a": [1, {"b": 2}]})
        (0, 1, 3)
    """
    reached, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        reached += 1
        level = [inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer)]
    return reached
