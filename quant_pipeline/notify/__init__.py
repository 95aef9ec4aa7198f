"""What the user is told over WeChat: the messages, the outbox they wait in, the PushPlus client that sends them."""
