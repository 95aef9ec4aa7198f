"""Strategies: which codes to buy and sell, from adjusted daily bars. One file per strategy; plug-ins through entry points."""
