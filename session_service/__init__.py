"""The session service: labels, wallets, sessions, commands, and the API that riders and operators use."""
