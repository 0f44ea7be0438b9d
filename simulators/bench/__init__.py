"""How long a rider waits for the lock, held against what the machine and bare libraries can do (DESIGN 10)."""
