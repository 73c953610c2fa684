"""Parts of the supervised training scripts: arguments, data, collators, processes."""
