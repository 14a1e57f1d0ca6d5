"""The adapter `mesos`: the tasks of a Mesos cluster, of whatever frameworks, as services."""

from pilot_adapter_mesos.adapter import Mesos

__all__ = ["Mesos"]
