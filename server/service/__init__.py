"""The local server: the guard, the routes, and the jobs behind them."""
