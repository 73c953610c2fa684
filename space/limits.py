"""Every limit of the app in one place: what a visitor may send, and how long they may keep the models busy."""

MAX_TEXT = 1000
"""Longest text, in characters, that is sent to the model or kept."""

MAX_LABEL = 100
"""Longest label of a kept point, in characters."""

MAX_KEPT = 100
"""Points that one visitor may keep on a photo."""

MAX_POINTS_FILE = 1_000_000
"""Largest file of points to import, in bytes."""

MAX_UPLOAD = "30mb"
"""Largest upload of any kind; images.py of the package limits the pixels."""

SECONDS_PER_REQUEST = 30.0
"""Time that the models may take for one request, not counting the wait in the queue."""

QUEUE_SIZE = 64
"""Requests that may wait; one more is told that the queue is full."""
