"""What travels between services and to clients, one file per service; shapes only, no logic and no table."""
