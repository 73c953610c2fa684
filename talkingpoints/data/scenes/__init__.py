"""Data sets of many kinds of things as scenes: things with parts, points that lie on them, and whose each pixel is.

`scene_sets.json` says how each set is read; `scene_sets.load_scenes` reads a split of one.
"""
