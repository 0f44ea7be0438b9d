"""The `unlatch` command: the service and what its operator does on the machine itself."""

from session_service.cli.program import main

__all__ = ["main"]
