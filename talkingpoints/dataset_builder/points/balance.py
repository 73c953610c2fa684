"""Which of the prepared points are kept, so that no category, part or kind of place crowds out the others.

Two walks over the tasks: the first counts, the second keeps. In memory lies one number a task that is kept.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping

from talkingpoints.dataset_builder.points.preparation import unit_hash
from talkingpoints.dataset_builder.points.tasks import PointTask

Group = tuple[str, str, str]
"""Label, part, kind."""


def group_of(task: PointTask) -> Group:
    return task.label, task.part, task.kind


def allotments(counts: Mapping[Group, int], total: int) -> dict[Group, int]:
    """How many tasks of each group are kept: an equal share for each label, in it for each part, in it for each kind.

    What a label, part or kind cannot fill goes to the others of its level.

    Args:
        counts: tasks by group.
        total: how many are wanted; more than there are keeps all.

    Example:
        >>> allotments({("car", "hood", "sift"): 90, ("car", "mirror", "sift"): 10}, 40)
        {('car', 'hood', 'sift'): 30, ('car', 'mirror', 'sift'): 10}
    """
    kept: dict[tuple[str, ...], int] = {(): total}
    for depth in (1, 2, 3):
        sizes: Counter[tuple[str, ...]] = Counter()
        for group, count in counts.items():
            sizes[group[:depth]] += count
        next_kept: dict[tuple[str, ...], int] = {}
        for parent, share in kept.items():
            children = {name: size for name, size in sizes.items() if name[: depth - 1] == parent}
            next_kept |= _fill(children, share)
        kept = next_kept
    return {group: kept[group] for group in counts}


def balanced_keys(tasks: Iterable[PointTask], kept: Mapping[Group, int], seed: int) -> set[str]:
    """The keys that are kept: in each group those with the smallest hashes, whatever the order of the tasks."""
    heaps: dict[Group, list[tuple[float, str]]] = {group: [] for group in kept}
    for task in tasks:
        heap, room = heaps[group_of(task)], kept[group_of(task)]
        entry = (-unit_hash(f"balance {seed} {task.key}"), task.key)
        if len(heap) < room:
            heapq.heappush(heap, entry)
        elif room and entry > heap[0]:
            heapq.heapreplace(heap, entry)
    return {key for heap in heaps.values() for _, key in heap}


def _fill(sizes: Mapping[tuple[str, ...], int], total: int) -> dict[tuple[str, ...], int]:
    """Equal shares of a total, the smallest first, so that what it leaves goes to the larger ones."""
    shares = {}
    left = total
    for i, (name, size) in enumerate(sorted(sizes.items(), key=lambda item: (item[1], item[0]))):
        shares[name] = min(size, left // (len(sizes) - i))
        left -= shares[name]
    return shares
