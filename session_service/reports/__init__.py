"""What operators who answer for the money and the fleet read: takings, holds, debts, top-ups, refunds, use."""
