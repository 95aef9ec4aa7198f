"""The protocols: what each upstream service says on the wire, over the simulated exchange or recorded answers."""
