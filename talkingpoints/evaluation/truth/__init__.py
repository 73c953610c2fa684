"""Whether descriptions of points are true: typed claims, read by rule and held against annotations.

`vocabulary` holds the words, `parsing` turns a text into claims, `annotations` reads what a photo shows, `checking`
judges each claim at a point, and `scores` turns verdicts into figures. `controls` makes the rows that must do badly.
"""
