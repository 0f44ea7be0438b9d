"""Device identity: the cell's certificate authority, claims, certificates, and who is out again (DESIGN 3)."""
