"""Envoy's side of pilot-core: its resources, and the xDS server that serves them."""
