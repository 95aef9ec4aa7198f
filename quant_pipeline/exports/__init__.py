"""What other tools read: the stored rows in their forms, a file per export. Each is written whole, or not seen at all."""
