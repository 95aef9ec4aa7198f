"""Where rows come from: adapters of the upstream sources, the classes of their failures, their pace, the router."""
