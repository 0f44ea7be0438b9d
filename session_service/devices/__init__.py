"""Devices: the registry, their last known state, alerts."""
