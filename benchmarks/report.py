"""Tables of outcomes: for the terminal and for the README."""

from rich.table import Table

HEADINGS = ("work", "Shoal", "rival", "rival's", "rival / Shoal", "each turn", "goal", "")


def heading(machine):
    """Return the lines that say what the figures were measured on."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return [
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}",
        versions,
        machine["date"],
    ]


def duration(seconds):
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _valued(value, unit):
    return {
        "times": f"{value:.3g}",
        "%": f"{value:.3g} %",
        "s": duration(value),
        "MB": f"{value:,.0f} MB",
    }[unit]


def _aimed(outcome):
    if outcome.goal is None:
        return ""
    sign = ">=" if outcome.at_least else "<="
    return f"{sign} {_valued(outcome.goal, outcome.unit)}"


def _spread(outcome):
    turns = outcome.each_turn
    if not turns:
        return ""
    return f"{_valued(min(turns), outcome.unit)} to {_valued(max(turns), outcome.unit)}"


def cells(outcome):
    """Return the lines of one outcome, the cells of each as texts.

    A race has a line for each rival, the one that decided it first.
    """
    work = outcome.title
    if not outcome.decided_by:
        value = "" if outcome.value is None else _valued(outcome.value, outcome.unit)
        took = outcome.medians.get("Shoal") or outcome.medians.get("above")
        shoal = "" if took is None else duration(took)
        what = "" if outcome.value is None else outcome.measure
        line = [work, shoal, what, "", value, _spread(outcome), _aimed(outcome), outcome.status]
        return [line, *_remarks(outcome)]
    lines, medians = [], outcome.medians
    decided_first = sorted(
        outcome.ratios, key=lambda n: (n != outcome.decided_by, outcome.ratios[n])
    )
    for name in decided_first:
        form = outcome.forms.get(name)
        first = name == outcome.decided_by
        lines.append(
            [
                work if first else "",
                duration(medians["Shoal"]) if first else "",
                f"{name} ({form})" if form else name,
                duration(medians[name]),
                _valued(outcome.ratios[name], "times"),
                _spread(outcome) if first else "",
                _aimed(outcome) if first else "",
                outcome.status if first else "",
            ]
        )
    return [*lines, *_remarks(outcome)]


def _remarks(outcome):
    return [["", "", text, *[""] * 5] for text in (*outcome.notes, *outcome.errors)]


def table(outcomes, turns):
    """Return a table for the terminal."""
    made = Table(
        *HEADINGS,
        caption=f"medians of {turns} turns each; a goal is held to the first rival of its row",
    )
    for outcome in outcomes:
        for line in cells(outcome):
            made.add_row(*line)
        made.add_section()
    return made


def markdown(outcomes):
    """Return the table as the README has it."""
    lines = [HEADINGS[:5] + HEADINGS[6:], ["---"] * 7]
    for outcome in outcomes:
        lines += [line[:5] + line[6:] for line in cells(outcome)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
