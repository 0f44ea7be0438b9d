"""What devices say of their own condition over time: raw, by the minute and by the hour (docs/decisions/0021)."""
