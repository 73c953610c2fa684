"""Readers of datasets with parts. Each is a sequence of photos that are read when their turn comes."""
