"""The speeds that the README names, measured on this machine: `make bench`."""
