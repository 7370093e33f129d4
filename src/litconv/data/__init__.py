"""Data sets. `module.DataModule` is the base; one file per kind of data set supplies its arrays or its files."""
