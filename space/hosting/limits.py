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

MAX_BODY = 1_000_000
"""Largest request, in bytes, that holds no file."""

MAX_BODY_WITH_FILE = 42_000_000
"""Largest request, in bytes, that may hold a file: an upload of 30 MB, which MCP clients may write as base64."""

SECONDS_PER_REQUEST = 30.0
"""Time that the models may take for one answer, not counting the wait for their turn."""

QUEUE_SIZE = 64
"""Requests that may wait for the models, and as many from programs; one more is told that the queue is full."""

MOST_WAITING = QUEUE_SIZE // 2
"""Requests of one address that may wait there."""

MAX_SESSIONS = 200
"""Visitors whose photos and points are remembered; one more, and the one who did nothing for longest is forgotten."""

MAX_ENCODED = 300_000_000
"""Bytes of photos that are kept encoded for the next click; where there is more, the longest unused are forgotten."""

FILE_SECONDS = 3600
"""Age at which files of photos are deleted."""
