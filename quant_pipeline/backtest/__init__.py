"""Backtests: a strategy's signals, target weights or orders, traded under the exchange's rules in whole cents and shares."""
