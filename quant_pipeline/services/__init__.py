"""The one client for outside services (robots, SMS, push, maps …): an adapter each, called alike, watched alike."""
