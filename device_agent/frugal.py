"""Memory that the agent does without."""

from __future__ import annotations

import sys
import urllib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final

PROXIES: Final = "urllib.request"


@contextmanager
def without_http() -> Iterator[None]:
    """Have paho-mqtt imported without ``urllib.request``, whose HTTP and e-mail take 1.4 MiB.

    It asks that module for the proxies of the environment, and only where PySocks is installed: then there are none.
    Who imports the module afterwards gets it.
    """
    if PROXIES in sys.modules:
        yield
        return
    stand_in = ModuleType(PROXIES)
    vars(stand_in)["getproxies"] = dict
    sys.modules[PROXIES] = vars(urllib)["request"] = stand_in
    try:
        yield
    finally:
        del sys.modules[PROXIES]
