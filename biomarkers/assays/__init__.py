"""One TOML file an assay: data, not code. Read by :func:`biomarkers.core.config.load_assay`."""
