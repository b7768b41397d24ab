"""What the user wrote, checked: settings, the grid of a sweep, rows, targets and their weights."""
