"""From the neutral world to what each proxy is meant to have: pure functions, no Envoy."""
