"""Benchmarks, and the peers in them."""
