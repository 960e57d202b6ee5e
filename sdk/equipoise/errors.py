"""Every exception the SDK raises.

```
Exception
└── EquipoiseError
    └── ConfigurationError (also a ValueError)   a configuration document is malformed; says where
```

Evaluating and logging raise none of these: a fault in operation is an `Assignment` with reason
`ERROR`, or a count in `Client.counters`.
"""

__all__ = ["ConfigurationError", "EquipoiseError"]


class EquipoiseError(Exception):
    """The base of every exception the SDK raises."""


class ConfigurationError(EquipoiseError, ValueError):
    """A configuration document is malformed.

    Attributes:
        place: where in the document, as a path such as `experiments.checkout.slots[0]`;
            empty for the document as a whole.
        problem: what is wrong there, and what belongs there instead.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(place, problem)
        self.place = place
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.place or 'the document'}: {self.problem}"
