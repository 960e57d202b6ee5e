"""The Equipoise service: experiments, evaluation, events, analysis and readouts over HTTP."""

from importlib.metadata import version

__version__ = version("equipoise-service")
