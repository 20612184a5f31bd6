"""One TOML file an assay: data, not code. Read by :func:`biomarkers.config.load_assay`."""
