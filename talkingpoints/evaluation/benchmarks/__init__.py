"""Public benchmarks: Visual Genome region captioning and ViP-Bench."""
