"""Points in the files of annotation tools: read, written, and said in words what a format cannot hold."""
