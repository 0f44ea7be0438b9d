"""Operators: people who run the fleet, and their tokens."""
