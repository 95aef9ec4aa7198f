"""`python -m quant_pipeline.cli`."""

from quant_pipeline.cli import main

main()
