"""`equipoise demo`: a simulated experiment through the real service, its readout beside the truth."""

from equipoise_service.cli.demo.command import demo

__all__ = ["demo"]
