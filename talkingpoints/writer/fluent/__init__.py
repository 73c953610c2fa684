"""Fluent descriptions of points on any annotated thing, with the claims that each text makes.

`lexicon` holds the words for kinds and parts, `annotated_scene` what is annotated in a photo, `observations` what is
true at a point, `sentences` the texts, `typing_noise` what keyboards do to them, and `absent_texts` texts that are
false of a photo. The older styles (`talkingpoints.writer.styles`) stay as they are for the models trained on them.
"""
