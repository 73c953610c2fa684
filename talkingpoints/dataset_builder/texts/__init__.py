"""Texts for points and segments, by rules or by language models."""
