"""The adapter for Kubernetes: services, endpoint slices, pods and nodes, live, as records."""
