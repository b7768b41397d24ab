"""The lanes: vectors, the primitives on them, and elementary functions made of these."""
