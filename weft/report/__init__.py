"""The report of a run as one self-contained page: where time goes, by layer, by cause, and instruction by instruction."""
