"""Alerts: what is the matter now, who knows of it, and when it was over. Rules say what counts; each can be switched off."""
