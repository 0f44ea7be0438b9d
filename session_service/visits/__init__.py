"""What needs a person on the spot: one queue made of alerts, in the order of what each costs riders."""
