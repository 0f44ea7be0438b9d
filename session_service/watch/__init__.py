"""What the dashboard sees of the fleet: every device in a line, and its changes as they come."""
