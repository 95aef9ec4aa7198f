"""What is watched: runs that die, messages that wait, bars that arrive."""

import warnings

# Conditions of our own are marked as beta by Dagster: a user can do nothing about it, and would read it at every start.
warnings.filterwarnings("ignore", message=".*`use_user_code_server`.*is currently in beta")
