"""Metrics: PCK, panoptic quality, caption scores, dense captioning."""
