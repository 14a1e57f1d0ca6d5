"""What people and programs can see of a running daemon: problems, metrics, logs."""
