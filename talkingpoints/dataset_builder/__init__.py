"""From part datasets to image-point-description datasets: readers of parts, points in them, what is true of a point,
and what comes out. Import from the modules; the command is training/build_point_dataset.py."""
