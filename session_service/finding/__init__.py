"""Finding a thing to ride: what is free near a point, and which thing bears a printed number."""
