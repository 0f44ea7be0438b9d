"""How quickly the rider's pages are there on a slow phone, and how soon they say that the lock is open (DESIGN 9)."""
