"""Tushare's protocol over our own database: what is written for Tushare's client runs against it, unchanged."""
