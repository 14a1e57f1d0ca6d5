"""Consul's catalogue as a service registry of pilot-core."""
