"""The ledger: accounts, transfers, holds, wallets, top-ups."""
