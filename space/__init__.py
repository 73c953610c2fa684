"""The browser app. ``ui`` lays out the screen, ``events`` connects it to ``handlers``, which hold what the
app does; ``drawing`` marks photos, ``theme`` says how everything looks.
"""
