"""The sandbox: a simulated exchange behind loopback servers that speak the real protocols, with faults to order.

Everything it serves is made up. It is a product feature: the whole pipeline can be tried, and its failures rehearsed,
with no token and no network.
"""
