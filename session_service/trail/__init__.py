"""What operators see of the audit."""
