"""From facts about a point to words: scenes, facts, colours, wording and styles."""
