"""The program on the device: it speaks MQTT and moves the lock (DESIGN 2)."""

import os

__version__ = "0.1.0"

# Ciphers of the nineties, which the library of cryptography would load and nobody here uses: 150 KiB.
os.environ.setdefault("CRYPTOGRAPHY_OPENSSL_NO_LEGACY", "1")
