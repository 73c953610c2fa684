"""The browser app. ``ui`` lays out the screen, ``events`` connects it to ``handlers``, which hold what the
app does; ``drawing`` marks photos, ``kept`` and ``table`` hold the points of a visitor, ``serving`` bounds the calls of
the models, ``bounds``, ``uploads`` and ``limits`` what comes in, ``theme`` says how everything looks. ``assemble``
writes the folder of a Hugging Face Space.
"""
