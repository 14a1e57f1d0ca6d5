"""Dialects: what people write, decoded into the neutral model."""
