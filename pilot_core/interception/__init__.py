"""How a workload's traffic comes to its proxy unasked: rules of the kernel."""
