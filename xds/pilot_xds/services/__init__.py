"""What is served beside ADS on the same port: client status, health, reflection."""
