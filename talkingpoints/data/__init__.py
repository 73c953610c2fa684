"""Datasets in: readers of annotations, and the training examples made of them."""
