"""Annotated photos as training examples."""
