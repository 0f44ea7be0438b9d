"""Mosquitto for the laptop and one-server shapes: its configuration, its ACL, and a supervisor that runs it."""
