"""What a notebook calls: `import quant_pipeline as qp`, then `qp.bars`, `qp.read`, `qp.sql`, `qp.panel`, `qp.screen`, …

Frames are pandas' unless `as_="polars"` is asked for. Nothing here writes to the database.
"""
