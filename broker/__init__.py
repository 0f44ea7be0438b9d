"""What the service and the devices agree on, and the broker that carries it."""
