"""What a row of the comparison has come to."""

import statistics
from dataclasses import asdict, dataclass, field


@dataclass
class Outcome:
    """A value, what it was to be, and all that it was made of."""

    title: str
    measure: str  # what the value is
    unit: str  # "times", "%", "s" or "MB"
    at_least: bool  # whether more is better
    goal: float | None = None
    value: float | None = None  # None: nothing to compare with
    seconds: dict[str, list[float]] = field(default_factory=dict)  # of each turn
    forms: dict[str, str] = field(default_factory=dict)  # which form of a rival was the fastest
    each_turn: list[float] = field(default_factory=list)  # the value by each turn alone
    decided_by: str = ""  # the rival that the value is of
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def medians(self):
        return {name: statistics.median(turns) for name, turns in self.seconds.items()}

    @property
    def ratios(self):
        """Each rival's median seconds, over Shoal's."""
        ours = self.medians.get("Shoal")
        others = {name: median for name, median in self.medians.items() if name != "Shoal"}
        return {name: median / ours for name, median in others.items()} if ours else {}

    @property
    def status(self):
        """One of error, skipped, met, missed, and "" where there is no goal."""
        if self.errors:
            return "error"
        if self.value is None:
            return "skipped"
        if self.goal is None:
            return ""
        good = self.value >= self.goal if self.at_least else self.value <= self.goal
        return "met" if good else "missed"

    def described(self):
        """Return all of it as a dict that JSON can hold."""
        told = {"status": self.status, "medians": self.medians, "ratios": self.ratios}
        return asdict(self) | told
