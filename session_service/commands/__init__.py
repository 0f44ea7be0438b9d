"""Commands: signed orders to devices."""
