"""Measuring what texts and points are worth: metrics, intervals, and the protocol with its controls."""
