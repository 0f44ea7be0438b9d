"""Lock drivers: each implements ``ports.LockDriver``."""
