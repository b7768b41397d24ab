"""Draw docs/performance.svg from the table of docs/performance.md.

python tools/benchmark_plot.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).parents[1] / "docs"
OURS, THEIRS = "#1f77b4", "#d62728"  # where Shoal is faster, and where it is not


def rows():
    """(work, rival, rival / Shoal) of each row of the table."""
    above = ""
    for line in (DOCS / "performance.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 5 or not cells[3].replace(".", "").isdigit():
            continue
        work, _, rival, ratio, _ = cells
        work = work.replace("the same", above, 1) if work.startswith("the same") else work
        above = work if not work.startswith(above or " ") else above
        yield work.replace("`", ""), rival.split(":")[0].replace("`", ""), float(ratio)


def main():
    works, rivals, ratios = zip(*reversed(list(rows())), strict=True)
    matplotlib.rcParams.update({"svg.hashsalt": "shoal", "svg.fonttype": "none"})
    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    colors = [OURS if ratio >= 1 else THEIRS for ratio in ratios]
    axes.barh(range(len(works)), [ratio - 1 for ratio in ratios], left=1, color=colors)
    for place, (ratio, rival) in enumerate(zip(ratios, rivals, strict=True)):
        right = 1.06 * max(ratio, 1)
        axes.text(right, place, f"{ratio:g} ({rival})", va="center", fontsize=8)
    axes.set_yticks(range(len(works)), works, fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(0.3, 400)
    ticks = (0.5, 1, 2, 5, 10, 20, 50, 100)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("time of the rival / time of Shoal")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / "performance.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
