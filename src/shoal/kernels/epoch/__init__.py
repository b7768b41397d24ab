"""Epochs of one group of nets: batches, validation, stopping. Written once for both meanings."""
