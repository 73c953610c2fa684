"""The annotation tools' own formats, a module each."""
