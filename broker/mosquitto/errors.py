"""What can go wrong with a broker of our own."""

from __future__ import annotations


class MosquittoError(RuntimeError):
    """The broker cannot be run. The message says what to do about it."""
