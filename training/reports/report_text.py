"""The report of ``training.evaluate`` as text for the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from talkingpoints.evaluation.protocol import LISTENED


def format_table(report: Mapping[str, Any]) -> str:
    """The report as text: one line a row, then the differences, the categories and presence."""
    lines = [
        f"{report['dataset']} {report['split']}: {report['n_points']} points in {report['n_images']} photos",
        "",
        f"{'':<24}{'mpck_img':>9}  {'ci95':<14}{'PCK@.02':>8}{'@.05':>7}{'@.1':>7}{'@.2':>7}"
        f"{'mpck_bbox':>11}{'median px':>11}{'auc':>7}",
    ]
    for name, row in report["rows"].items():
        hits = row["pck_img"]
        median = "-" if row["median_error_px"] is None else f"{row['median_error_px']:.1f}"
        lines.append(
            f"{name:<24}{row['mpck_img']:>9.2f}  {_interval(row['ci95']):<14}{hits['0.02']:>8.2f}"
            f"{hits['0.05']:>7.2f}{hits['0.1']:>7.2f}{hits['0.2']:>7.2f}{row['mpck_bbox']:>11.2f}{median:>11}{row['auc']:>7.2f}"
        )
    lines.append("")
    for name, difference in report["differences"].items():
        interval = _interval(difference["ci95"])
        lines.append(f"{name.replace('_', ' ')}: {difference['mpck_img']:+.2f} mpck_img, ci95 {interval}")
    for label, figures in report["by_label"].items():
        both = ", ".join(f"{name} {figures[name]:.2f}" for name in ("reference", "descriptor") if name in figures)
        lines.append(f"{label}: {both} mpck_img ({figures['n_points']} points)")
    for name, calibration in report["calibration"].items():
        lines.append(f"calibration error of the confidence on {name} texts: {calibration['ece']:.3f}")
    for name, heard in report["listeners"].items():
        texts = ", ".join(f"{source} {heard[source]:.2f}" for source in LISTENED if source in heard)
        ratio = "-" if heard.get("ratio") is None else f"{heard['ratio']:.3f}"
        lines.append(f"through listener {name}: {texts} mpck_img; descriptor by reference {ratio}")
    for kind, figures in (report["mask_points"] or {}).items():
        found = ", ".join(f"{name} {row['mpck_img']:.2f}" for name, row in figures["rows"].items())
        lines.append(f"points from masks, {kind}: {found} mpck_img ({figures['n_points']} points)")
    if report["mirroring"] is not None:
        shares = {name: "-" if share is None else f"{share:.1%}" for name, share in report["mirroring"].items()}
        lines.append(f"mirrored photo, text without place: {shares['flips']} flip, {shares['same_place']} come back")
    seconds = report["latency_s"]
    lines.append(f"warm, median: describe {seconds['describe']:.3f} s, localize {seconds['localize']:.3f} s")
    if report["free_texts"] is not None:
        scores = {name: row["mpck_img"] for name, row in report["free_texts"]["rows"].items()}
        lines.append(
            f"{report['free_texts']['n_points']} free texts: {scores['free_text']:.2f} mpck_img; "
            f"the writer's on the same points: {scores['reference']:.2f}"
        )
    if report["presence_roc_auc"] is not None:
        lines.append(
            f"presence against texts of an absent category: ROC AUC {report['presence_roc_auc']:.3f}, "
            f"balanced accuracy {report['presence']['balanced_accuracy']:.3f}"
        )
    return "\n".join(lines)


def _interval(ends: Sequence[float]) -> str:
    return f"{ends[0]:.1f} .. {ends[1]:.1f}"
