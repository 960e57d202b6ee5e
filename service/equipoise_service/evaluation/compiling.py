"""Documents compiled, each once: what a write publishes is what the same process serves a moment later."""

from functools import lru_cache

from equipoise.configuration import Configuration, load

# Few: a write changes one environment or a handful, and every document here is held in memory.
_KEPT = 4


@lru_cache(maxsize=_KEPT)
def compiled(document: bytes) -> Configuration:
    """The configuration that a document says; immutable, so that everybody can have the same.

    Raises:
        ConfigurationError: The document cannot be read.
    """
    return load(document)
