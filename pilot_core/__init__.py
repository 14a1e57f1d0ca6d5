"""pilot-core: one control plane for Envoy fleets that span platforms."""

__version__ = "0.1.0"
