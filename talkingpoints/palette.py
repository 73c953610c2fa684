"""Colours by which segments of a photo are told apart."""

import colorsys

_DARKEST = 0.45  # grey value of an outline, 0 to 1


def mark_colour(number: int) -> tuple[int, int, int]:
    """RGB of the outline of a segment, from 0 on: bright colours, neighbours in the order far apart."""
    hue = (0.14 + number * 0.381966) % 1.0
    light, saturation = ((0.62, 1.0), (0.74, 1.0), (0.55, 0.9))[number % 3]
    rgb = colorsys.hls_to_rgb(hue, light, saturation)
    grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    white = max(0.0, (_DARKEST - grey) / (1 - grey))  # blue is dark however saturated
    red, green, blue = (round(255 * (value + white * (1 - value))) for value in rgb)
    return (red, green, blue)
