"""The web sites that AKShare reads, behind a local proxy with its own certificate authority."""
