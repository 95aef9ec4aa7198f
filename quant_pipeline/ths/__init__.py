"""The user's 同花顺 account: its groups of watchlists. Nothing here is documented by THS: it may break."""
