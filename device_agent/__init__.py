"""The program on the device: it speaks MQTT and moves the lock (DESIGN 2)."""

__version__ = "0.1.0"
