"""`equipoise analyze`: facts in a file or a warehouse straight to a readout."""

from equipoise_service.cli.analyze.command import analyze

__all__ = ["analyze"]
