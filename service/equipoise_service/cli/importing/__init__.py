"""`equipoise import`: a file of exposures and events into a running service."""

from equipoise_service.cli.importing.command import import_file

__all__ = ["import_file"]
