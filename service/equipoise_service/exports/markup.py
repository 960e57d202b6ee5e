"""HTML that cannot be broken by what is put into it: every text is escaped unless it is markup already."""

from html import escape


class Markup(str):
    """Text that is markup, made here or by what draws figures."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str | None) -> Markup:
    """An element.

    Args:
        name: Its name.
        children: What is in it; what is no markup is escaped.
        attributes: Its attributes, escaped; `_` at the end of a name is left out, another one is a hyphen.
            One that is None is left out.

    Example:
        >>> tag("p", "a < b", tag("b", "!"), class_="note")
        '<p class="note">a &lt; b<b>!</b></p>'
    """
    shown = "".join(
        f' {each.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for each, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{shown}>{together(*children)}</{name}>")


def together(*parts: str) -> Markup:
    """Parts one after the other; what is no markup is escaped."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts))
