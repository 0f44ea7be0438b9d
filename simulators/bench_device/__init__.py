"""What the agent takes of a device: memory, processor, time and wear of the card (docs/device.md)."""
