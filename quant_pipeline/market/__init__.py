"""The ground floor: what the data are. Dataset specs, codes, calendar, clock, bars and adjustment."""
