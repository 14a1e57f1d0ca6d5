"""The daemon: `pilot-core run`, everything wired together."""
