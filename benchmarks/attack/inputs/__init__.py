"""Families of hostile inputs, one module each; see `benchmarks.attack`."""
