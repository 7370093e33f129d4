"""Data sets. `module.DataModule` is the base, `options.DataOptions` what it is asked; one file per kind of data set supplies its
arrays or its files."""
