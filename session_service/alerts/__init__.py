"""Alerts: what a person should see, how grave it is, who looks after it, and whom it is sent to."""
