"""`equipoise apply` and `equipoise export`: definitions of metrics, sources and segments kept in files."""

from equipoise_service.cli.definitions.commands import apply, export

__all__ = ["apply", "export"]
