"""The configuration of the daemon: its schema, how it is read and checked, what reloads change."""
