"""Lanes are nets: L nets of one architecture train side by side."""
