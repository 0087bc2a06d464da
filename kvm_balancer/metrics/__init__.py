"""Sources of figures that are there already, beside our own samples."""
