"""Senses beside the lock's own, and what makes a device found: battery, temperature, position, tamper, lamp, display.

None of them is needed to open a lock, so none can keep the agent from running: what is broken reads as ``None`` and is
logged once (docs/senses.md).
"""
