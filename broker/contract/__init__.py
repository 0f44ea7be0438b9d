"""The wire contract: topics, codes, messages and their signed envelope. In prose: ``broker/README.md``."""
