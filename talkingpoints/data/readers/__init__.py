"""Readers of annotated photos: points, keypoints, segments and captioned regions."""
