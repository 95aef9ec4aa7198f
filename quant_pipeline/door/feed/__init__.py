"""Live quotes for programs and for our own pages: one hub, and over it Socket.IO, plain WebSockets and REST."""
