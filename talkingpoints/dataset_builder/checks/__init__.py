"""Checks of texts: wording, near duplicates, round trips through a localizer."""
