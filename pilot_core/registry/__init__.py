"""The registry: runs adapters, keeps what they say, and turns it into worlds."""
