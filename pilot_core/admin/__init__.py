"""The HTTP API: what a running daemon tells people and programs."""
