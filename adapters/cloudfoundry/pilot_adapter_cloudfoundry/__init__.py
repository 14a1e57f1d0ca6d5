"""The adapter `cloudfoundry`: the routes of a Cloud Foundry foundation, as services."""

from pilot_adapter_cloudfoundry.adapter import CloudFoundry

__all__ = ["CloudFoundry"]
