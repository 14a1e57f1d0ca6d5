"""Istio's configuration language: what of it is read, kind by kind."""
