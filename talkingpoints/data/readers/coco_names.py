"""COCO's category names in plain words."""

_SUFFIXES = ("-merged", "-other", "-stuff")
_KEPT = {"window-blind": "window blind", "playingfield": "playing field"}


def plain_name(category: str) -> str:
    """A category's name as one would say it.

    Args:
        category: for example "wall-other-merged", "floor-wood", "dining table".

    Returns:
        For example "wall", "wood floor", "dining table".
    """
    name = category.strip().lower()
    while suffix := next((s for s in _SUFFIXES if name.endswith(s)), None):
        name = name.removesuffix(suffix)
    if name in _KEPT:
        return _KEPT[name]
    return " ".join(reversed(name.split("-"))).replace("_", " ")
