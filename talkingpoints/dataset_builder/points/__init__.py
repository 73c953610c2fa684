"""Points worth a text: part masks, skeletons, balance, and their preparation photo by photo."""
