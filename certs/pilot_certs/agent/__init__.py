"""What runs on every node: keys that never leave it, and certificates for who runs there."""
