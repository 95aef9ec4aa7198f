"""What a stored backtest came to, as people read it: its parts, the page's and the saved copy's template, its picture."""
