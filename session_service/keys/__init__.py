"""Configurations of devices: which command keys each is to obey, and which it does (broker/README.md)."""
