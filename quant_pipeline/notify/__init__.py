"""Notifications: what is to be told to the user's WeChat, an outbox that loses nothing, and the PushPlus client."""
