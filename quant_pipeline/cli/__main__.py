"""`python -m quant_pipeline.cli`."""

from quant_pipeline.__main__ import main

main()
